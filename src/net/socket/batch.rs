//! Many messages in one system call.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// The longest message that is sent or kept; what is longer when it arrives is cut.
pub const FRAME_ROOM: usize = 256;
/// How many messages go out or come in with one call.
const BATCH: usize = 64;

/// Messages on their way out, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Slots are kept and used again; the first `filled` hold messages.
    slots: Vec<Outgoing>,
    filled: usize,
    /// How many of the filled ones have gone out.
    gone: usize,
}

#[derive(Debug)]
struct Outgoing {
    bytes: [u8; FRAME_ROOM],
    length: usize,
    to: Option<Destination>,
}

impl Outbox {
    /// Puts a message in; one that is longer than [`FRAME_ROOM`] is cut. `to` is none
    /// where the socket itself knows.
    pub fn push(&mut self, bytes: &[u8], to: Option<SocketAddr>) {
        if self.filled == self.slots.len() {
            self.slots.push(Outgoing { bytes: [0; FRAME_ROOM], length: 0, to: None });
        }
        let slot = &mut self.slots[self.filled];
        slot.length = bytes.len().min(FRAME_ROOM);
        slot.bytes[..slot.length].copy_from_slice(&bytes[..slot.length]);
        slot.to = to.map(Destination::of);
        self.filled += 1;
    }

    /// How many messages wait to go out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filled - self.gone
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a system call's worth of messages waits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= BATCH
    }

    /// Drops the message that stands first, which the kernel refuses.
    pub fn skip(&mut self) {
        self.gone = (self.gone + 1).min(self.filled);
        self.tidy();
    }

    /// Hands messages to the kernel until none waits or it takes no more for now.
    /// Gives back how many went out.
    ///
    /// # Errors
    /// What the kernel says of the message that stands first, when none went out before it.
    pub fn send(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let before = self.gone;
        while self.gone < self.filled {
            match send_some(socket, &self.slots[self.gone..self.filled]) {
                Ok(count) => self.gone += count,
                Err(error) if is_full(&error) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if self.gone > before => break,
                Err(error) => return Err(error),
            }
        }
        let sent = self.gone - before;
        self.tidy();
        Ok(sent)
    }

    fn tidy(&mut self) {
        if self.gone == self.filled {
            self.filled = 0;
            self.gone = 0;
        }
    }
}

/// Whether the kernel has no room for now: the socket's own buffer or the interface's queue.
pub(super) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// An address in the kernel's form.
#[derive(Clone, Copy)]
struct Destination {
    storage: libc::sockaddr_in6,
    length: libc::socklen_t,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Destination")
    }
}

impl Destination {
    fn of(to: SocketAddr) -> Self {
        // SAFETY: these are plain numbers, for which zero is a value.
        let mut storage: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
        match to {
            SocketAddr::V6(to) => {
                storage.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                storage.sin6_port = to.port().to_be();
                storage.sin6_addr.s6_addr = to.ip().octets();
                storage.sin6_scope_id = to.scope_id();
                Destination { storage, length: size_of::<libc::sockaddr_in6>() as libc::socklen_t }
            }
            SocketAddr::V4(to) => {
                // SAFETY: likewise.
                let mut short: libc::sockaddr_in = unsafe { std::mem::zeroed() };
                short.sin_family = libc::AF_INET as libc::sa_family_t;
                short.sin_port = to.port().to_be();
                short.sin_addr.s_addr = u32::from(*to.ip()).to_be();
                // SAFETY: a sockaddr_in is shorter than a sockaddr_in6 and no stricter
                // aligned, and both are plain numbers.
                unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(short) };
                Destination { storage, length: size_of::<libc::sockaddr_in>() as libc::socklen_t }
            }
        }
    }
}

fn send_some(socket: &impl AsFd, messages: &[Outgoing]) -> io::Result<usize> {
    let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; BATCH];
    let count = messages.len().min(BATCH);
    for ((message, piece), header) in messages.iter().zip(&mut pieces).zip(&mut headers) {
        let piece = piece.write(libc::iovec {
            iov_base: message.bytes.as_ptr().cast_mut().cast(),
            iov_len: message.length,
        });
        // SAFETY: an mmsghdr is numbers and pointers, for which zero is a value, and this
        // one was zeroed.
        let header = unsafe { header.assume_init_mut() };
        header.msg_hdr.msg_iov = piece;
        header.msg_hdr.msg_iovlen = 1;
        if let Some(to) = &message.to {
            header.msg_hdr.msg_name = (&raw const to.storage).cast_mut().cast();
            header.msg_hdr.msg_namelen = to.length;
        }
    }
    // SAFETY: the first `count` headers are initialised; each points to a piece and an
    // address that live until this function ends, and the pieces to bytes that `messages`
    // borrows. The kernel writes nothing but each header's count.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_fd().as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Room for a timestamp and its header.
const CONTROL_ROOM: usize = 64;

/// Room for the messages that come in with one call.
pub struct Inbox {
    room: Box<[Room; BATCH]>,
    count: usize,
}

struct Room {
    bytes: [u8; FRAME_ROOM],
    length: usize,
    control: Control,
    control_length: usize,
    from: MaybeUninit<libc::sockaddr_storage>,
}

impl Room {
    fn message(&self) -> Message<'_> {
        Message {
            bytes: &self.bytes[..self.length],
            at: stamp(&self.control, self.control_length),
            from: sender(&self.from),
        }
    }
}

/// Aligned as the headers in it must be.
#[repr(align(8))]
struct Control([u8; CONTROL_ROOM]);

/// A message that came in.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What it says; cut at [`FRAME_ROOM`].
    pub bytes: &'a [u8],
    /// When the kernel got it, by the day's clock since 1970.
    pub at: Option<Duration>,
    /// Who sent it, on sockets that know internet addresses.
    pub from: Option<SocketAddr>,
}

impl Default for Inbox {
    fn default() -> Self {
        let room = || Room {
            bytes: [0; FRAME_ROOM],
            length: 0,
            control: Control([0; CONTROL_ROOM]),
            control_length: 0,
            from: MaybeUninit::zeroed(),
        };
        Inbox { room: Box::new(std::array::from_fn(|_| room())), count: 0 }
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbox with {} messages", self.count)
    }
}

impl Inbox {
    /// How many messages one call takes in at most; fewer mean that no more are there.
    pub const ROOM: usize = BATCH;

    /// Takes in what has arrived, at most one call's worth, and gives back how many
    /// messages that are. Never waits.
    ///
    /// # Errors
    /// What the socket has to tell, such as that its interface went down.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        self.count = 0;
        let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; BATCH];
        for ((room, piece), header) in self.room.iter_mut().zip(&mut pieces).zip(&mut headers) {
            let piece = piece.write(libc::iovec {
                iov_base: room.bytes.as_mut_ptr().cast(),
                iov_len: FRAME_ROOM,
            });
            // SAFETY: an mmsghdr is numbers and pointers, for which zero is a value, and
            // this one was zeroed.
            let header = unsafe { header.assume_init_mut() };
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = room.control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_ROOM as _;
            header.msg_hdr.msg_name = room.from.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: all headers are initialised; their pieces live until this function ends,
        // and the bytes, control data and addresses they point to are parts of `self.room`,
        // each of the length that is given, which nothing else touches meanwhile.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr().cast(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for (room, header) in self.room.iter_mut().zip(&headers).take(count) {
            // SAFETY: zeroed above, and the kernel has only written numbers to it since.
            let header = unsafe { header.assume_init_ref() };
            room.length = (header.msg_len as usize).min(FRAME_ROOM);
            room.control_length = header.msg_hdr.msg_controllen.min(CONTROL_ROOM);
        }
        self.count = count;
        Ok(count)
    }

    /// The messages of the last call, in the order in which they arrived.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.room[..self.count].iter().map(Room::message)
    }

    /// One message of the last call, by its place among them.
    #[must_use]
    pub fn message(&self, at: usize) -> Option<Message<'_>> {
        self.room[..self.count].get(at).map(Room::message)
    }
}

/// The kernel's timestamp among the control data.
fn stamp(control: &Control, length: usize) -> Option<Duration> {
    let head = size_of::<libc::cmsghdr>();
    if length < head + size_of::<libc::timespec>() {
        return None;
    }
    // SAFETY: the buffer is aligned to eight bytes, as a cmsghdr asks for, it is longer
    // than one, and any bytes make a cmsghdr, which is plain numbers.
    let header = unsafe { control.0.as_ptr().cast::<libc::cmsghdr>().read() };
    if header.cmsg_level != libc::SOL_SOCKET || header.cmsg_type != libc::SCM_TIMESTAMPNS {
        return None;
    }
    // SAFETY: the length was checked to hold a timespec behind the header, any bytes make
    // a timespec, and it is read without asking for alignment.
    let time = unsafe { control.0.as_ptr().add(head).cast::<libc::timespec>().read_unaligned() };
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

fn sender(storage: &MaybeUninit<libc::sockaddr_storage>) -> Option<SocketAddr> {
    // SAFETY: it was zeroed when it was made, and a sockaddr_storage is plain numbers.
    let storage = unsafe { storage.assume_init_ref() };
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: a sockaddr_storage is large enough and aligned for every kind of
            // address, and its family says that it is this one.
            let v4 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = u32::from_be(v4.sin_addr.s_addr).into();
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: likewise.
            let v6 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = v6.sin6_addr.s6_addr.into();
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::{stamp_arrivals, wait};
    use super::*;

    #[test]
    fn messages_keep_their_order_and_carry_the_time_and_the_sender() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").unwrap();
        stamp_arrivals(&two).unwrap();
        one.connect(two.local_addr().unwrap()).unwrap();
        let mut out = Outbox::default();
        for number in 0..100_u8 {
            out.push(&[number, 1, 2], None);
        }
        assert!(out.is_full());
        assert_eq!(out.send(&one).unwrap(), 100);
        assert!(out.is_empty());

        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        while seen.len() < 100 {
            wait(&[two.as_fd()], Duration::from_secs(5)).unwrap();
            assert!(inbox.receive(&two).unwrap() > 0, "nothing came");
            for message in inbox.messages() {
                assert!(message.at.unwrap() > Duration::from_secs(1_700_000_000));
                assert_eq!(message.from, Some(one.local_addr().unwrap()));
                seen.push(message.bytes[0]);
            }
        }
        assert_eq!(seen, (0..100).collect::<Vec<u8>>());
        assert_eq!(inbox.receive(&two).unwrap(), 0);
    }

    #[test]
    fn a_message_goes_where_it_is_told_to() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut out = Outbox::default();
        // Port 0 is nobody's: the kernel refuses, and the message stands first until skipped.
        out.push(b"x", Some("127.0.0.1:0".parse().unwrap()));
        out.push(b"y", Some(two.local_addr().unwrap()));
        assert!(out.send(&one).is_err());
        assert_eq!(out.len(), 2);
        out.skip();
        assert_eq!(out.send(&one).unwrap(), 1);
        let mut room = [0; 4];
        assert_eq!(two.recv(&mut room).unwrap(), 1);
        assert_eq!(room[0], b'y');
    }
}
