//! Asking the kernel about links, addresses, routes and neighbours. Reads only.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::socket::wait;

/// The kernel answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(2);
/// The kernel writes no more than this into one datagram of a dump.
const ROOM: usize = 64 << 10;

/// A socket toward the kernel.
pub(super) struct Netlink {
    socket: Socket,
    room: Vec<u8>,
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Netlink")
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        Ok(Netlink { socket, room: Vec::with_capacity(ROOM) })
    }

    /// A socket that hears of changes in these groups (`RTNLGRP_…`).
    pub(super) fn listen(groups: &[u32]) -> io::Result<Self> {
        let netlink = Netlink::open()?;
        for group in groups {
            netlink.socket.add_membership(*group)?;
        }
        // Many neighbours may change at once; the kernel gives what it may.
        let _ = netlink.socket.set_rx_buf_sz::<libc::c_int>(1 << 20);
        Ok(netlink)
    }

    /// Everything of the kind that is asked for.
    pub(super) fn dump(
        &mut self,
        request: RouteNetlinkMessage,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.ask(request, NLM_F_REQUEST | NLM_F_DUMP)
    }

    /// The one answer to a question.
    pub(super) fn get(
        &mut self,
        request: RouteNetlinkMessage,
    ) -> io::Result<Option<RouteNetlinkMessage>> {
        Ok(self.ask(request, NLM_F_REQUEST)?.pop())
    }

    fn ask(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let until = Instant::now() + PATIENCE;
        let mut answers = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if wait(&[self.socket.as_fd()], left)? == 0 && left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel does not answer"));
            }
            let mut ended = false;
            let one = flags & NLM_F_DUMP == 0;
            self.read(|payload| match payload {
                NetlinkPayload::InnerMessage(answer) => {
                    answers.push(answer);
                    ended |= one;
                    Ok(())
                }
                NetlinkPayload::Done(_) => {
                    ended = true;
                    Ok(())
                }
                NetlinkPayload::Error(refusal) => {
                    ended = true;
                    refusal.code.map_or(Ok(()), |_| Err(refusal.to_io()))
                }
                _ => Ok(()),
            })?;
            if ended {
                return Ok(answers);
            }
        }
    }

    /// Hands over what has arrived. Never waits.
    ///
    /// # Errors
    /// What the kernel or `take` refuses. `ENOBUFS` means that changes were lost.
    pub(super) fn read(
        &mut self,
        mut take: impl FnMut(NetlinkPayload<RouteNetlinkMessage>) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            self.room.clear();
            match self.socket.recv(&mut self.room, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let mut rest = &self.room[..];
            while let Some(length) =
                rest.first_chunk::<4>().map(|length| u32::from_ne_bytes(*length) as usize)
            {
                if length < 16 || length > rest.len() {
                    break;
                }
                // A message that this library does not understand tells of something that
                // is newer than it; the others stand.
                match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&rest[..length]) {
                    Ok(message) => take(message.payload)?,
                    Err(error) => {
                        tracing::debug!(%error, "a message of the kernel was not understood")
                    }
                }
                rest = &rest[length.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}
