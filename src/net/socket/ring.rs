//! A link-layer socket that shares its frames with the kernel: nothing is copied through a
//! system call, neither out nor in, and one call sends many frames.
//!
//! It costs some ten milliseconds to open and to close, and its memory counts: it is for
//! very many frames.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::SockRef;

use super::batch::is_full;
use super::filter::Filter;
use super::link::{Listen, bind, set, unbound};

/// Room for one frame, with what the kernel notes of it; a multiple of sixteen.
const FRAME: usize = 192;
/// Frames lie in blocks of whole pages, and in no two of them.
const BLOCK: usize = 1 << 16;
const IN_A_BLOCK: usize = BLOCK / FRAME;
/// How many blocks there are for each way.
const BLOCKS_IN: usize = 16;
const BLOCKS_OUT: usize = 1;
const IN: usize = BLOCKS_IN * IN_A_BLOCK;
const OUT: usize = BLOCKS_OUT * IN_A_BLOCK;
/// Where the kernel's notes of a frame to send end, and what is told of its offloading.
const NOTES: usize = size_of::<libc::tpacket2_hdr>();
const OFFLOAD: usize = 10;
/// The longest frame that can be sent.
const LONGEST: usize = FRAME - NOTES - OFFLOAD;

/// The socket and its frames.
#[derive(Debug)]
pub(super) struct Ring {
    socket: OwnedFd,
    map: Map,
    /// The frame that arrives next.
    next_in: usize,
    /// The frame that is written next, and how many before it the kernel has not taken.
    next_out: usize,
    waiting: usize,
}

impl Ring {
    /// Opens a socket on the interface. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// `PermissionDenied` without the capability; others when the interface is gone, or
    /// when the kernel gives no ring.
    pub(super) fn open(interface: u32, listen: Listen, filter: &Filter) -> io::Result<Self> {
        let socket = unbound(filter)?;
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        // With a word about offloading before each frame, that word can have the kernel
        // take a whole frame at once. Without it frames are lent to the kernel by pages,
        // which it then copies in a more costly way.
        set(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1)?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &blocks(BLOCKS_IN))?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_TX_RING, &blocks(BLOCKS_OUT))?;
        let map = Map::of(&socket)?;
        bind(&socket, interface, listen)?;
        Ok(Ring { socket, map, next_in: 0, next_out: 0, waiting: 0 })
    }

    /// Writes a frame where the kernel will find it; one that is too long is cut. False,
    /// and nothing else, where there is no room.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if !self.has_room() {
            return false;
        }
        let length = bytes.len().min(LONGEST);
        let mut told = [0; OFFLOAD];
        // `hdr_len` of a `virtio_net_hdr`: so much is taken at once.
        told[2..4].copy_from_slice(&(length as u16).to_ne_bytes());
        let frame = self.map.frame(IN + self.next_out);
        // SAFETY: the frame is available: the kernel does not touch it until it is told to.
        // `OFFLOAD` and at most `LONGEST` bytes behind the notes end within the frame, and
        // the notes are a `tpacket2_hdr` at its beginning, aligned to sixteen bytes.
        unsafe {
            let room = frame.as_ptr().add(NOTES);
            room.copy_from_nonoverlapping(told.as_ptr(), OFFLOAD);
            room.add(OFFLOAD).copy_from_nonoverlapping(bytes.as_ptr(), length);
            let notes = frame.as_ptr().cast::<libc::tpacket2_hdr>();
            (&raw mut (*notes).tp_len).write((OFFLOAD + length) as u32);
        }
        self.map.status(IN + self.next_out).store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
        self.next_out = (self.next_out + 1) % OUT;
        self.waiting += 1;
        true
    }

    /// Whether one more frame can be written now.
    pub(super) fn has_room(&self) -> bool {
        let status = self.map.status(IN + self.next_out).load(Ordering::Acquire);
        status == libc::TP_STATUS_AVAILABLE
    }

    /// How many frames the kernel has not taken yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Has the kernel take what waits, as far as it has room. Gives back how many frames
    /// that were.
    ///
    /// # Errors
    /// What the kernel says when it takes none for another reason than a lack of room.
    pub(super) fn send(&mut self) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: no bytes and no address are passed; the kernel looks at the ring.
        let sent = unsafe {
            libc::sendto(self.socket.as_raw_fd(), std::ptr::null(), 0, flags, std::ptr::null(), 0)
        };
        let error = (sent < 0).then(io::Error::last_os_error);
        let before = self.waiting;
        while self.waiting > 0 {
            let oldest = (self.next_out + OUT - self.waiting) % OUT;
            match self.map.status(IN + oldest).load(Ordering::Acquire) {
                libc::TP_STATUS_SEND_REQUEST => break,
                libc::TP_STATUS_WRONG_FORMAT => return Err(io::ErrorKind::InvalidInput.into()),
                _ => self.waiting -= 1,
            }
        }
        match error {
            Some(error)
                if self.waiting == before
                    && !is_full(&error)
                    && error.kind() != io::ErrorKind::Interrupted =>
            {
                Err(error)
            }
            _ => Ok(before - self.waiting),
        }
    }

    /// Whether a frame has arrived.
    ///
    /// # Errors
    /// What the socket has to tell where none has, such as that its interface went down.
    pub(super) fn has_arrivals(&self) -> io::Result<bool> {
        if self.map.status(self.next_in).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0 {
            return Ok(true);
        }
        match SockRef::from(&self.socket).take_error()? {
            Some(error) => Err(error),
            None => Ok(false),
        }
    }

    /// Reads the frame that has arrived first, if any has, and when that was by the day's
    /// clock since 1970.
    pub(super) fn next<T>(&mut self, read: impl FnOnce(&[u8]) -> T) -> Option<(T, Duration)> {
        let status = self.map.status(self.next_in);
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let frame = self.map.frame(self.next_in);
        // SAFETY: the kernel has handed the frame over and does not touch it until it gets
        // it back. Its notes stand at its beginning, which is aligned to sixteen bytes.
        let notes = unsafe { frame.as_ptr().cast::<libc::tpacket2_hdr>().read() };
        let start = usize::from(notes.tp_mac).min(FRAME);
        let length = (notes.tp_snaplen as usize).min(FRAME - start);
        // SAFETY: likewise, and these bytes lie within the frame.
        let bytes = unsafe { std::slice::from_raw_parts(frame.as_ptr().add(start), length) };
        let value = read(bytes);
        let at = Duration::new(notes.tp_sec.into(), notes.tp_nsec.min(999_999_999));
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next_in = (self.next_in + 1) % IN;
        Some((value, at))
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A ring of so many blocks, in the kernel's words.
fn blocks(count: usize) -> libc::tpacket_req {
    libc::tpacket_req {
        tp_block_size: BLOCK as libc::c_uint,
        tp_block_nr: count as libc::c_uint,
        tp_frame_size: FRAME as libc::c_uint,
        tp_frame_nr: (count * IN_A_BLOCK) as libc::c_uint,
    }
}

/// The memory that is shared with the kernel: first the frames that come in, then those
/// that go out.
#[derive(Debug)]
struct Map {
    start: NonNull<u8>,
}

impl Map {
    const LENGTH: usize = (BLOCKS_IN + BLOCKS_OUT) * BLOCK;

    fn of(socket: &OwnedFd) -> io::Result<Self> {
        // SAFETY: a new mapping is asked for at no address in particular, of the length
        // that the socket's rings have together.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Map::LENGTH,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Map { start })
    }

    /// The beginning of a frame; those that go out are numbered after those that come in.
    fn frame(&self, number: usize) -> NonNull<u8> {
        assert!(number < IN + OUT, "there is no such frame");
        let offset = number / IN_A_BLOCK * BLOCK + number % IN_A_BLOCK * FRAME;
        // SAFETY: the number was checked, so that the whole frame lies in the mapping.
        unsafe { self.start.add(offset) }
    }

    /// Whose turn it is at a frame, the kernel's or ours.
    fn status(&self, number: usize) -> &AtomicU32 {
        // SAFETY: a frame begins with its status, a number of four bytes at an address that
        // is a multiple of sixteen. The kernel and this process change it by whole words,
        // here only as an atomic, and the mapping lives as long as `self`.
        unsafe { AtomicU32::from_ptr(self.frame(number).as_ptr().cast()) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that was made, whole; nothing refers to it any more,
        // since references to it do not outlive `self`.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), Map::LENGTH) };
    }
}
