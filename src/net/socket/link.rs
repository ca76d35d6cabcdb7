//! Link-layer sockets.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::filter::Filter;

/// What a link-layer socket listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// ARP alone: other traffic does not even reach the filter.
    Arp,
    /// Everything that the filter lets through.
    All,
}

/// A socket that sends and receives whole Ethernet frames on one interface.
///
/// Opening is cheap, closing waits for the kernel (some ten milliseconds): open one for a
/// sweep and keep it. It has no ring: a ring costs several times as much to open and to
/// close, and its memory counts; a [`super::Wire`] for very many frames has one. It is not
/// promiscuous.
#[derive(Debug)]
pub struct LinkSocket {
    socket: OwnedFd,
}

/// Room for some ten thousand small frames, so that nothing is lost while the reader is
/// off the processor. The kernel gives what it may.
const RECEIVE_BUFFER: libc::c_int = 8 << 20;

impl LinkSocket {
    /// Opens a socket on the interface. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// `PermissionDenied` without the capability; others when the interface is gone.
    pub fn open(interface: u32, listen: Listen, filter: &Filter) -> io::Result<Self> {
        let socket = unbound(filter)?;
        stamp_arrivals(&socket)?;
        // Forcing needs CAP_NET_ADMIN; without it the host's limit stands.
        if set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER).is_err() {
            let _ = set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &RECEIVE_BUFFER);
        }
        bind(&socket, interface, listen)?;
        Ok(LinkSocket { socket })
    }
}

/// A link-layer socket with its filter, to which nothing arrives yet.
pub(super) fn unbound(filter: &Filter) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Protocol 0: nothing arrives before the filter is in place.
    // SAFETY: no pointers are passed.
    let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    attach(&socket, filter)?;
    // Older kernels do not know it; their echoes are recognised by whoever reads.
    let _ = set(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1);
    Ok(socket)
}

/// `PACKET_IGNORE_OUTGOING` of linux/if_packet.h.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

impl AsFd for LinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

pub(super) fn bind(socket: &OwnedFd, interface: u32, listen: Listen) -> io::Result<()> {
    let protocol = match listen {
        Listen::Arp => libc::ETH_P_ARP,
        Listen::All => libc::ETH_P_ALL,
    };
    // SAFETY: a sockaddr_ll is plain numbers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (protocol as u16).to_be();
    address.sll_ifindex = libc::c_int::try_from(interface)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the address is a whole sockaddr_ll, its length is given, and the kernel
    // only reads it.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    outcome(bound)
}

/// Has the kernel note when each message arrived.
///
/// # Errors
/// When the socket cannot.
pub fn stamp_arrivals(socket: &impl AsFd) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1)
}

/// Has the kernel drop unseen what reaches a socket of IPv4 from a host that does not send
/// with the highest time to live; hardly any does. Needs no capability.
///
/// # Errors
/// When the socket cannot.
pub fn drop_ordinary(socket: &impl AsFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &libc::c_int::from(u8::MAX))
}

/// Puts a filter on any socket.
///
/// # Errors
/// When the kernel does not take the program.
pub fn attach(socket: &impl AsFd, filter: &Filter) -> io::Result<()> {
    let program = filter.program();
    let program = libc::sock_fprog {
        len: u16::try_from(program.len())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        // The kernel copies the program and writes nothing to it.
        filter: program.as_ptr().cast_mut(),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Sets an option whose value is one plain `T`.
pub(super) fn set<T>(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: `value` is a whole `T` that outlives the call, its size is given, and the
    // kernel only reads it. A `sock_fprog` points to a program of the length in it, which
    // its caller borrows for as long.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    outcome(done)
}

fn outcome(returned: libc::c_int) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
