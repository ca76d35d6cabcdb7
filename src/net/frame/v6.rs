//! IPv6: echo to all nodes, a packet that every node must object to, and solicitations.

use std::net::{IpAddr, Ipv6Addr};

use pnet::packet::Packet;
use pnet::packet::ethernet::EtherTypes;
use pnet::packet::icmpv6::ndp::{
    MutableNeighborSolicitPacket, NdpOptionTypes, NeighborAdvertPacket,
};
use pnet::packet::icmpv6::{Icmpv6Code, Icmpv6Packet, Icmpv6Types, MutableIcmpv6Packet, checksum};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

use super::{ETHERNET, Heard, Station, ethernet};
use crate::domain::mac::MacAddr;

/// The length of an IPv6 header.
const HEADER: usize = 40;
/// The length of an echo request with eight bytes of payload.
const ECHO: usize = 16;
/// The length of a header of destination options with one option and nothing in it.
const OPTIONS: usize = 8;
/// The length of a solicitation with the asker's MAC address.
const SOLICITATION: usize = 32;
/// All nodes of a link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The MAC address to which packets for a multicast address go.
#[must_use]
pub fn multicast_mac(ip: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = ip.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// The multicast address at which the owner of an address listens for solicitations.
#[must_use]
pub fn solicited(ip: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = ip.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// A frame with an echo request.
#[must_use]
pub fn echo(
    own: Station<Ipv6Addr>,
    to: Station<Ipv6Addr>,
    id: u16,
    sequence: u16,
) -> [u8; ETHERNET + HEADER + ECHO] {
    let mut frame = [0; ETHERNET + HEADER + ECHO];
    write_echo(&mut frame[ETHERNET + HEADER..], own.ip, to.ip, id, sequence);
    packet(&mut frame, own, to, IpNextHeaderProtocols::Icmpv6, 255);
    frame
}

/// A frame with an option that no node knows and that asks every node, even one that
/// was reached by multicast, to drop the packet and to say so (RFC 8200, 4.2: the option's
/// type begins with the bits 10). Windows ignores echo requests to all nodes, but not this.
#[must_use]
pub fn objectionable(
    own: Station<Ipv6Addr>,
    to: Station<Ipv6Addr>,
    id: u16,
    sequence: u16,
) -> [u8; ETHERNET + HEADER + OPTIONS + ECHO] {
    let mut frame = [0; ETHERNET + HEADER + OPTIONS + ECHO];
    let options = &mut frame[ETHERNET + HEADER..];
    // What follows; no further eight bytes; the option, of four zero bytes.
    options[..OPTIONS].copy_from_slice(&[IpNextHeaderProtocols::Icmpv6.0, 0, 0x80, 4, 0, 0, 0, 0]);
    write_echo(&mut options[OPTIONS..], own.ip, to.ip, id, sequence);
    packet(&mut frame, own, to, IpNextHeaderProtocols::Ipv6Opts, 255);
    frame
}

/// A frame that asks for the owner of an address.
#[must_use]
pub fn solicitation(
    own: Station<Ipv6Addr>,
    ip: Ipv6Addr,
) -> [u8; ETHERNET + HEADER + SOLICITATION] {
    let mut frame = [0; ETHERNET + HEADER + SOLICITATION];
    let to = solicited(ip);
    let room = &mut frame[ETHERNET + HEADER..];
    if let Some(mut question) = MutableNeighborSolicitPacket::new(room) {
        question.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        question.set_target_addr(ip);
    }
    // The option "source link-layer address": its type, its length in eights, the address.
    room[24] = NdpOptionTypes::SourceLLAddr.0;
    room[25] = 1;
    room[26..32].copy_from_slice(&own.mac.0);
    sum_up(room, own.ip, to);
    packet(
        &mut frame,
        own,
        Station { mac: multicast_mac(to), ip: to },
        IpNextHeaderProtocols::Icmpv6,
        255,
    );
    frame
}

fn write_echo(room: &mut [u8], from: Ipv6Addr, to: Ipv6Addr, id: u16, sequence: u16) {
    if let Some(mut echo) = MutableIcmpv6Packet::new(room) {
        echo.set_icmpv6_type(Icmpv6Types::EchoRequest);
        echo.set_icmpv6_code(Icmpv6Code::new(0));
    }
    room[4..6].copy_from_slice(&id.to_be_bytes());
    room[6..8].copy_from_slice(&sequence.to_be_bytes());
    sum_up(room, from, to);
}

fn sum_up(message: &mut [u8], from: Ipv6Addr, to: Ipv6Addr) {
    if let Some(mut packet) = MutableIcmpv6Packet::new(message) {
        let sum = checksum(&packet.to_immutable(), &from, &to);
        packet.set_checksum(sum);
    }
}

fn packet(
    frame: &mut [u8],
    own: Station<Ipv6Addr>,
    to: Station<Ipv6Addr>,
    carries: IpNextHeaderProtocol,
    hops: u8,
) {
    let length = u16::try_from(frame.len() - ETHERNET - HEADER).unwrap_or(u16::MAX);
    if let Some(mut ip) = MutableIpv6Packet::new(ethernet(frame, own.mac, to.mac, EtherTypes::Ipv6))
    {
        ip.set_version(6);
        ip.set_payload_length(length);
        ip.set_next_header(carries);
        ip.set_hop_limit(hops);
        ip.set_source(own.ip);
        ip.set_destination(to.ip);
    }
}

/// Reads a packet that answers.
pub(super) fn read(bytes: &[u8], by: MacAddr) -> Option<Heard> {
    let ip = Ipv6Packet::new(bytes)?;
    if ip.get_version() != 6
        || ip.get_next_header() != IpNextHeaderProtocols::Icmpv6
        || by.is_multicast()
    {
        return None;
    }
    let end = (HEADER + usize::from(ip.get_payload_length())).min(bytes.len());
    let message = bytes.get(HEADER..end)?;
    let source = ip.get_source();
    let icmp = Icmpv6Packet::new(message)?;
    match icmp.get_icmpv6_type() {
        Icmpv6Types::EchoReply => {
            let [id, sequence] = [message.get(4..6)?, message.get(6..8)?];
            Some(Heard::Echo {
                from: Station { mac: by, ip: IpAddr::V6(source) },
                id: u16::from_be_bytes(id.try_into().ok()?),
                sequence: u16::from_be_bytes(sequence.try_into().ok()?),
            })
        }
        Icmpv6Types::ParameterProblem => {
            // It quotes what it objects to: only a packet of the asker's own counts.
            let quoted = Ipv6Packet::new(message.get(8..)?)?;
            let of_the_asker = quoted.get_source() == ip.get_destination();
            (of_the_asker && source.is_unicast_host())
                .then_some(Heard::Neighbor { from: Station { mac: by, ip: source.into() } })
        }
        Icmpv6Types::NeighborAdvert if ip.get_hop_limit() == 255 => {
            let advert = NeighborAdvertPacket::new(message)?;
            let stated = advert
                .get_options_iter()
                .find(|option| option.get_option_type() == NdpOptionTypes::TargetLLAddr)
                .and_then(|option| option.payload().first_chunk::<6>().copied());
            let mac = stated.map_or(by, MacAddr);
            let ip = advert.get_target_addr();
            let names_nobody = mac.is_multicast() || mac.0 == [0; 6] || !ip.is_unicast_host();
            (!names_nobody).then_some(Heard::Neighbor { from: Station { mac, ip: ip.into() } })
        }
        _ => None,
    }
}

/// Whether an address can be a host's.
trait UnicastHost {
    fn is_unicast_host(&self) -> bool;
}

impl UnicastHost for Ipv6Addr {
    fn is_unicast_host(&self) -> bool {
        !self.is_multicast() && !self.is_unspecified() && !self.is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn station(last: u8) -> Station<Ipv6Addr> {
        Station {
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            ip: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into()),
        }
    }

    /// The ones' complement sum over an ICMPv6 message and its pseudo header is all ones.
    fn sums_up(frame: &[u8], at: usize) -> bool {
        let ip = &frame[ETHERNET..];
        let message = &ip[HEADER + at..];
        let mut sum = u32::try_from(message.len()).unwrap() + 58;
        for pair in ip[8..40].chunks(2).chain(message.chunks(2)) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff
    }

    #[test]
    fn addresses_of_groups_are_as_the_standards_have_them() {
        assert_eq!(multicast_mac(ALL_NODES).to_string(), "33:33:00:00:00:01");
        let ip: Ipv6Addr = "2001:db8::12:3456".parse().unwrap();
        assert_eq!(solicited(ip), "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
    }

    #[test]
    fn every_checksum_is_right() {
        let all = Station { mac: multicast_mac(ALL_NODES), ip: ALL_NODES };
        assert!(sums_up(&echo(station(1), all, 1, 2), 0));
        assert!(sums_up(&objectionable(station(1), all, 1, 2), OPTIONS));
        assert!(sums_up(&solicitation(station(1), station(9).ip), 0));
    }

    #[test]
    fn an_echo_comes_back_from_its_sender() {
        let mut frame = echo(station(9), station(1), 0xbeef, 7);
        assert_eq!(read(&frame), None, "a request is not an answer");
        frame[ETHERNET + HEADER] = 129;
        let from = Station { mac: station(9).mac, ip: station(9).ip.into() };
        assert_eq!(read(&frame), Some(Heard::Echo { from, id: 0xbeef, sequence: 7 }));
    }

    #[test]
    fn an_objection_counts_when_it_quotes_the_asker() {
        let asked = objectionable(station(1), station(9), 1, 2);
        let mut frame = vec![0; ETHERNET + HEADER + 8 + HEADER];
        frame[ETHERNET + HEADER] = 4;
        frame[ETHERNET + HEADER + 1] = 2;
        frame[ETHERNET + HEADER + 8..].copy_from_slice(&asked[ETHERNET..ETHERNET + HEADER]);
        packet(&mut frame, station(9), station(1), IpNextHeaderProtocols::Icmpv6, 64);
        let from = Station { mac: station(9).mac, ip: station(9).ip.into() };
        assert_eq!(read(&frame), Some(Heard::Neighbor { from }));
        packet(&mut frame, station(9), station(2), IpNextHeaderProtocols::Icmpv6, 64);
        assert_eq!(read(&frame), None, "it answers somebody else");
    }

    #[test]
    fn an_advertisement_counts_when_it_comes_from_the_link() {
        let mut frame = solicitation(station(9), station(9).ip);
        frame[ETHERNET + HEADER] = 136;
        frame[ETHERNET + HEADER + 24] = 2;
        let from = Station { mac: station(9).mac, ip: station(9).ip.into() };
        assert_eq!(read(&frame), Some(Heard::Neighbor { from }));
        frame[ETHERNET + 7] = 254;
        assert_eq!(read(&frame), None, "it came through a router");
    }
}
