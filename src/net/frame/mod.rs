//! Frames and packets, built and read with pnet's packet crate.
//!
//! What comes in is anybody's: whatever is too short, contradicts itself or is not
//! meant for the asker reads as nothing. Nothing here sends or receives.

use std::net::{IpAddr, Ipv4Addr};

use pnet::packet::Packet;
use pnet::packet::arp::{
    ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket,
};
use pnet::packet::ethernet::{EtherType, EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::util::MacAddr as Octets;

use crate::domain::mac::MacAddr;

pub mod v4;
pub mod v6;

/// The length of an Ethernet header.
pub const ETHERNET: usize = 14;
/// The length of a frame that carries ARP.
pub const ARP: usize = ETHERNET + 28;
/// Everybody on the link.
pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);

/// Somebody on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station<Ip> {
    /// The MAC address.
    pub mac: MacAddr,
    /// The internet address.
    pub ip: Ip,
}

/// What a frame says that answers a question of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// "This address is at this MAC address." `by` is who put the frame on the wire,
    /// which differs where a repeater or a virtual router speaks.
    Arp {
        /// Who answers.
        from: Station<Ipv4Addr>,
        /// The frame's own sender.
        by: MacAddr,
        /// Whom it answers.
        to: Ipv4Addr,
    },
    /// An answer to an echo request.
    Echo {
        /// Who answers.
        from: Station<IpAddr>,
        /// The number that the request carried.
        id: u16,
        /// The count that the request carried.
        sequence: u16,
    },
    /// A TCP segment to a port that the sweep asked from.
    Segment(v4::Segment),
    /// A neighbour of IPv6 that answers for its address, or that objects to a packet.
    Neighbor {
        /// Who it is.
        from: Station<IpAddr>,
    },
}

/// Reads a frame that answers; nothing for all others.
#[must_use]
pub fn read(frame: &[u8]) -> Option<Heard> {
    let ethernet = EthernetPacket::new(frame)?;
    let by = mac(ethernet.get_source());
    match ethernet.get_ethertype() {
        EtherTypes::Arp => read_arp(ethernet.payload(), by),
        EtherTypes::Ipv4 => v4::read(ethernet.payload(), by),
        EtherTypes::Ipv6 => v6::read(ethernet.payload(), by),
        _ => None,
    }
}

fn read_arp(payload: &[u8], by: MacAddr) -> Option<Heard> {
    let arp = ArpPacket::new(payload)?;
    let ethernet =
        arp.get_hardware_type() == ArpHardwareTypes::Ethernet && arp.get_hw_addr_len() == 6;
    let ipv4 = arp.get_protocol_type() == EtherTypes::Ipv4 && arp.get_proto_addr_len() == 4;
    if !ethernet || !ipv4 || arp.get_operation() != ArpOperations::Reply {
        return None;
    }
    let from = Station { mac: mac(arp.get_sender_hw_addr()), ip: arp.get_sender_proto_addr() };
    let names_nobody = from.mac.is_multicast() || from.mac.0 == [0; 6];
    (!names_nobody).then(|| Heard::Arp { from, by, to: arp.get_target_proto_addr() })
}

/// Asks for the owner of address after address, from one station.
#[derive(Debug, Clone)]
pub struct ArpQuestion {
    frame: [u8; ARP],
}

impl ArpQuestion {
    /// Questions that this station asks.
    #[must_use]
    pub fn from(own: Station<Ipv4Addr>) -> Self {
        ArpQuestion {
            frame: arp(
                ArpOperations::Request,
                own,
                Station { mac: MacAddr([0; 6]), ip: Ipv4Addr::UNSPECIFIED },
                BROADCAST,
            ),
        }
    }

    /// The question for one address: to everybody, or to the one who is thought to have it.
    #[must_use]
    pub fn ask(&mut self, ip: Ipv4Addr, at: Option<MacAddr>) -> &[u8; ARP] {
        self.frame[..6].copy_from_slice(&at.unwrap_or(BROADCAST).0);
        self.frame[ARP - 4..].copy_from_slice(&ip.octets());
        &self.frame
    }
}

/// The answer to such a question.
#[must_use]
pub fn arp_reply(own: Station<Ipv4Addr>, to: Station<Ipv4Addr>) -> [u8; ARP] {
    arp(ArpOperations::Reply, own, to, to.mac)
}

fn arp(
    operation: ArpOperation,
    own: Station<Ipv4Addr>,
    other: Station<Ipv4Addr>,
    to: MacAddr,
) -> [u8; ARP] {
    let mut frame = [0; ARP];
    if let Some(mut arp) = MutableArpPacket::new(ethernet(&mut frame, own.mac, to, EtherTypes::Arp))
    {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(operation);
        arp.set_sender_hw_addr(octets(own.mac));
        arp.set_sender_proto_addr(own.ip);
        arp.set_target_hw_addr(octets(other.mac));
        arp.set_target_proto_addr(other.ip);
    }
    frame
}

/// Writes the Ethernet header and gives back the room behind it.
fn ethernet(frame: &mut [u8], from: MacAddr, to: MacAddr, kind: EtherType) -> &mut [u8] {
    if let Some(mut ethernet) = MutableEthernetPacket::new(frame) {
        ethernet.set_source(octets(from));
        ethernet.set_destination(octets(to));
        ethernet.set_ethertype(kind);
    }
    &mut frame[ETHERNET..]
}

fn octets(mac: MacAddr) -> Octets {
    mac.0.into()
}

fn mac(octets: Octets) -> MacAddr {
    MacAddr(octets.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Station<Ipv4Addr> =
        Station { mac: MacAddr([2, 0, 0, 0, 0, 1]), ip: Ipv4Addr::new(192, 0, 2, 1) };
    const HOST: Station<Ipv4Addr> =
        Station { mac: MacAddr([2, 0, 0, 0, 0, 9]), ip: Ipv4Addr::new(192, 0, 2, 9) };

    #[test]
    fn an_arp_question_is_as_the_standard_has_it() {
        let mut question = ArpQuestion::from(OWN);
        let frame = *question.ask(HOST.ip, None);
        assert_eq!(frame[..6], [0xff; 6]);
        assert_eq!(
            frame[6..],
            [
                2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0,
                0, 0, 0, 0, 0, 192, 0, 2, 9
            ]
        );
        assert_eq!(question.ask(HOST.ip, Some(HOST.mac))[..6], HOST.mac.0);
        assert_eq!(read(&frame), None, "a question is not an answer");
    }

    #[test]
    fn an_arp_answer_says_who_has_the_address() {
        let frame = arp_reply(HOST, OWN);
        assert_eq!(read(&frame), Some(Heard::Arp { from: HOST, by: HOST.mac, to: OWN.ip }));
        let mut by_a_repeater = frame;
        by_a_repeater[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
        assert_eq!(
            read(&by_a_repeater),
            Some(Heard::Arp { from: HOST, by: MacAddr([2, 0, 0, 0, 0, 7]), to: OWN.ip })
        );
    }

    #[test]
    fn a_frame_cut_anywhere_or_of_nobody_reads_as_nothing() {
        let frame = arp_reply(HOST, OWN);
        for length in 0..ARP {
            assert_eq!(read(&frame[..length]), None, "{length}");
        }
        let nobody = Station { mac: MacAddr([0; 6]), ..HOST };
        assert_eq!(read(&arp_reply(nobody, OWN)), None);
        assert_eq!(read(&arp_reply(Station { mac: BROADCAST, ..HOST }, OWN)), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_from_the_wire_make_it_fail(
            mut frame in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            kind in proptest::sample::select(vec![0x0806_u16, 0x0800, 0x86dd]),
        ) {
            if frame.len() >= ETHERNET {
                frame[12..14].copy_from_slice(&kind.to_be_bytes());
            }
            if frame.len() > ETHERNET {
                frame[ETHERNET] = if kind == 0x0800 { 0x45 } else { 0x60 };
            }
            let _ = read(&frame);
        }
    }
}
