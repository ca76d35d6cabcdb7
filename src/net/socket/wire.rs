//! Frames out and in at one interface, in the way that suits how many there will be.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::batch::{Inbox, Outbox};
use super::filter::Filter;
use super::link::{LinkSocket, Listen};
use super::ring::Ring;

/// How many frames go out or come in together.
const TOGETHER: usize = 64;

/// A link-layer socket with room for what goes out and comes in.
pub struct Wire {
    way: Way,
    /// Of what has come in, how much has been read, or may still be read now.
    read: usize,
    /// Whether the last look has shown that nothing more is there.
    drained: bool,
}

enum Way {
    /// Frames are copied by system calls, many in each.
    Calls { socket: LinkSocket, outbox: Outbox, inbox: Box<Inbox> },
    /// Frames are shared with the kernel.
    Ring(Ring),
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::Calls { .. } => "calls",
            Way::Ring(_) => "a ring",
        };
        write!(f, "Wire by {way}")
    }
}

impl Wire {
    /// Opens a socket on the interface, for a moderate number of frames. Needs
    /// `CAP_NET_RAW`.
    ///
    /// # Errors
    /// `PermissionDenied` without the capability; others when the interface is gone.
    pub fn open(interface: u32, listen: Listen, filter: &Filter) -> io::Result<Self> {
        let socket = LinkSocket::open(interface, listen, filter)?;
        let (outbox, inbox) = (Outbox::default(), Box::default());
        Ok(Wire { way: Way::Calls { socket, outbox, inbox }, read: 0, drained: false })
    }

    /// The same for very many frames: dearer to open and to close, and cheaper for each.
    ///
    /// # Errors
    /// Likewise; a kernel that gives no ring is no error.
    pub fn open_wide(interface: u32, listen: Listen, filter: &Filter) -> io::Result<Self> {
        match Ring::open(interface, listen, filter) {
            Ok(ring) => Ok(Wire { way: Way::Ring(ring), read: 0, drained: false }),
            Err(error) => {
                tracing::debug!(%error, "frames are not shared with the kernel");
                Wire::open(interface, listen, filter)
            }
        }
    }

    /// Puts a frame in line; one that finds no room is lost, as it may be on any network.
    pub fn push(&mut self, frame: &[u8]) {
        match &mut self.way {
            Way::Calls { outbox, .. } => outbox.push(frame, None),
            Way::Ring(ring) => {
                let _ = ring.push(frame);
            }
        }
    }

    /// Whether as many frames are in line as go out together, or as there is room for.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match &self.way {
            Way::Calls { outbox, .. } => outbox.is_full(),
            Way::Ring(ring) => ring.waiting() >= TOGETHER || !ring.has_room(),
        }
    }

    /// Whether no frame is in line, and there is room for one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.way {
            Way::Calls { outbox, .. } => outbox.is_empty(),
            Way::Ring(ring) => ring.waiting() == 0 && ring.has_room(),
        }
    }

    /// Hands frames to the kernel until none is in line or it takes no more for now. Gives
    /// back how many went out.
    ///
    /// # Errors
    /// What the kernel says of the frame that stands first, when none went out before it.
    pub fn send(&mut self) -> io::Result<usize> {
        match &mut self.way {
            Way::Calls { socket, outbox, .. } => outbox.send(socket),
            Way::Ring(ring) => ring.send(),
        }
    }

    /// Looks for frames that have arrived: whether [`Wire::next`] has any to give.
    ///
    /// # Errors
    /// What the socket has to tell, such as that its interface went down.
    pub fn receive(&mut self) -> io::Result<bool> {
        self.read = 0;
        match &mut self.way {
            // What did not fill the room was all that there was.
            Way::Calls { .. } if std::mem::take(&mut self.drained) => Ok(false),
            Way::Calls { socket, inbox, .. } => {
                let count = inbox.receive(socket)?;
                self.drained = count > 0 && count < Inbox::ROOM;
                Ok(count > 0)
            }
            Way::Ring(ring) => ring.has_arrivals(),
        }
    }

    /// Reads the next frame of those that the last look has shown, and when the kernel got
    /// it, by the day's clock since 1970.
    pub fn next<T>(&mut self, read: impl FnOnce(&[u8]) -> T) -> Option<(T, Option<Duration>)> {
        self.read += 1;
        match &mut self.way {
            Way::Calls { inbox, .. } => {
                let message = inbox.message(self.read - 1)?;
                Some((read(message.bytes), message.at))
            }
            Way::Ring(_) if self.read > TOGETHER => None,
            Way::Ring(ring) => ring.next(read).map(|(value, at)| (value, Some(at))),
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.way {
            Way::Calls { socket, .. } => socket.as_fd(),
            Way::Ring(ring) => ring.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::{Check, Load, wait};
    use super::*;

    /// An EtherType for experiments, which nobody else uses here.
    const EXPERIMENT: u16 = 0x88b5;
    const LOOPBACK: u32 = 1;

    fn frame(number: u32) -> Vec<u8> {
        let mut frame = vec![0; 42 + number as usize % 50];
        frame[12..14].copy_from_slice(&EXPERIMENT.to_be_bytes());
        frame[14..18].copy_from_slice(&number.to_be_bytes());
        frame[18..].fill(number as u8);
        frame
    }

    /// Sends frames to itself and gives back what arrives.
    fn echo(mut wire: Wire, count: u32) -> Vec<Vec<u8>> {
        let (mut seen, mut next) = (Vec::new(), 0);
        let begun = Instant::now();
        while seen.len() < count as usize && begun.elapsed() < Duration::from_secs(10) {
            while next < count && !wire.is_full() {
                wire.push(&frame(next));
                next += 1;
            }
            wire.send().unwrap();
            wait(&[wire.as_fd()], Duration::from_millis(10)).unwrap();
            while wire.receive().unwrap() {
                while let Some((bytes, at)) = wire.next(<[u8]>::to_vec) {
                    assert!(at.unwrap() > Duration::from_secs(1_700_000_000));
                    seen.push(bytes);
                }
            }
        }
        assert!(wire.is_empty());
        seen
    }

    #[test]
    fn frames_arrive_whole_and_in_order_in_either_way() {
        let ours = [Check::is(Load::Half(12), EXPERIMENT.into())];
        // More than either ring holds.
        for (count, open) in [(500, Wire::open as fn(_, _, &Filter) -> _), (9_000, Wire::open_wide)]
        {
            match open(LOOPBACK, Listen::All, &Filter::any_of(&[&ours])) {
                Ok(wire) => {
                    let wide = matches!(wire.way, Way::Ring(_));
                    assert_eq!(wide, count > 500, "the kernel gives no ring");
                    let sent: Vec<Vec<u8>> = (0..count).map(frame).collect();
                    assert!(echo(wire, count) == sent);
                }
                Err(error) => eprintln!("SKIPPED: link-layer sockets need CAP_NET_RAW: {error}"),
            }
        }
    }
}
