//! Sockets tuned by hand: link-layer sockets with a filter, large buffers and the
//! kernel's timestamps, many messages in one system call, and waiting for several
//! sockets with a fine timeout. The only room with `unsafe`: it hands safe types to
//! the others and knows nothing of what the bytes mean.

#![expect(unsafe_code, reason = "these system calls have no safe form in the standard library")]

mod batch;
mod filter;
mod link;
mod ring;
mod wait;
mod wire;

pub use batch::{FRAME_ROOM, Inbox, Message, Outbox};
pub use filter::{Check, Filter, Load};
pub use link::{LinkSocket, Listen, attach, drop_ordinary, stamp_arrivals};
pub use wait::{Clock, wait};
pub use wire::Wire;
