//! The kernel's neighbour table: who was seen on which link, and news of it.
//! It is read and listened to, never written.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};

use super::netlink::Netlink;
use crate::domain::mac::MacAddr;

/// One neighbour as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbor {
    /// Its address.
    pub ip: IpAddr,
    /// The index of the interface behind which it is.
    pub interface: u32,
    /// Its MAC address, where it answered at some time.
    pub mac: Option<MacAddr>,
    /// What the kernel thinks of it.
    pub standing: Standing,
}

/// What the kernel thinks of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It was heard of a moment ago.
    Present,
    /// It was heard of at some time; nobody has asked since.
    Stale,
    /// It is being asked for the first time.
    Asked,
    /// It did not answer.
    Silent,
    /// A person entered it, or the interface needs no addresses.
    Fixed,
}

impl Neighbor {
    fn read(message: &NeighbourMessage) -> Option<Self> {
        let standing = match message.header.state {
            NeighbourState::Reachable => Standing::Present,
            NeighbourState::Stale | NeighbourState::Delay | NeighbourState::Probe => {
                Standing::Stale
            }
            NeighbourState::Incomplete | NeighbourState::None => Standing::Asked,
            NeighbourState::Failed => Standing::Silent,
            _ => Standing::Fixed,
        };
        let mut ip = None;
        let mut mac = None;
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                    ip = Some((*address).into())
                }
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                    ip = Some((*address).into())
                }
                NeighbourAttribute::LinkLayerAddress(bytes) => {
                    mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr);
                }
                _ => {}
            }
        }
        Some(Neighbor { ip: ip?, interface: message.header.ifindex, mac, standing })
    }
}

/// The whole table, sorted by address.
///
/// # Errors
/// When the kernel does not tell.
pub fn table() -> io::Result<Vec<Neighbor>> {
    let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let mut neighbors: Vec<Neighbor> = Netlink::open()?
        .dump(request)?
        .iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewNeighbour(message) => Neighbor::read(message),
            _ => None,
        })
        .collect();
    neighbors.sort_unstable();
    Ok(neighbors)
}

/// News of the table. Needs no capability.
#[derive(Debug)]
pub struct Watch(Netlink);

/// `RTNLGRP_NEIGH` of linux/rtnetlink.h.
const NEIGHBORS: u32 = 3;

impl Watch {
    /// Hears of changes from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start() -> io::Result<Self> {
        Ok(Watch(Netlink::listen(&[NEIGHBORS])?))
    }

    /// What changed since the last call; never waits.
    ///
    /// # Errors
    /// When the kernel has to tell more than there is room for; [`table`] knows then.
    pub fn news(&mut self) -> io::Result<Vec<Neighbor>> {
        let mut news = Vec::new();
        self.0.read(|payload| {
            if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(message)) =
                payload
            {
                news.extend(Neighbor::read(&message));
            }
            Ok(())
        })?;
        Ok(news)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
