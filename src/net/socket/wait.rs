//! Waiting for several sockets with a fine timeout, and the two clocks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits until one of the sockets can be read (or has an error to tell) or the time is
/// over. Gives back which ones: bit 0 for the first.
///
/// # Errors
/// When the kernel refuses to wait; an interruption by a signal is not an error.
pub fn wait(sockets: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<u32> {
    let mut watched: [libc::pollfd; 8] =
        [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; 8];
    let count = sockets.len().min(watched.len());
    for (slot, socket) in watched.iter_mut().zip(sockets) {
        slot.fd = socket.as_raw_fd();
    }
    let timeout = timespec(timeout);
    // SAFETY: `watched` holds at least `count` entries and outlives the call, `timeout`
    // is a valid timespec, and no signal mask is given.
    let ready = unsafe {
        libc::ppoll(
            watched.as_mut_ptr(),
            libc::nfds_t::try_from(count).unwrap_or(0),
            &raw const timeout,
            std::ptr::null(),
        )
    };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        };
    }
    Ok(watched[..count].iter().rev().fold(0, |bits, slot| bits << 1 | u32::from(slot.revents != 0)))
}

fn timespec(duration: Duration) -> libc::timespec {
    // SAFETY: a timespec is plain numbers, for which zero is a value; it is made so
    // because some platforms have padding in it.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX);
    spec.tv_nsec = duration.subsec_nanos() as _;
    spec
}

/// Turns the kernel's timestamps, which are of the day's clock, into the time since a
/// start of one's own, which never steps.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Clock { start: std::time::Instant::now() }
    }

    /// The time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// What must be added to a time of the day's clock to make it one of this clock, in
    /// nanoseconds. Asked anew for each batch of arrivals, so that a step of the day's
    /// clock spoils one batch at most.
    #[must_use]
    pub fn offset(&self) -> i128 {
        let day = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        self.now().as_nanos() as i128 - day as i128
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn waiting_tells_which_socket_has_something() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").unwrap();
        let both = [one.as_fd(), two.as_fd()];
        assert_eq!(wait(&both, Duration::from_millis(1)).unwrap(), 0);
        one.send_to(b"x", two.local_addr().unwrap()).unwrap();
        assert_eq!(wait(&both, Duration::from_secs(5)).unwrap(), 0b10);
        two.send_to(b"x", one.local_addr().unwrap()).unwrap();
        assert_eq!(wait(&both, Duration::from_secs(5)).unwrap(), 0b11);
    }
}
