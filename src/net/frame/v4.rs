//! IPv4: echo and TCP.

use std::net::Ipv4Addr;

use pnet::packet::icmp::{
    IcmpCode, IcmpPacket, IcmpTypes, echo_reply::EchoReplyPacket,
    echo_request::MutableEchoRequestPacket,
};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::{Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet::packet::tcp::{MutableTcpPacket, TcpFlags, TcpOption, TcpPacket};
use pnet::packet::{icmp, ipv4, tcp};

use super::{ETHERNET, Heard, Station, ethernet};
use crate::domain::mac::MacAddr;
use pnet::packet::ethernet::EtherTypes;

/// The length of an IPv4 header without options.
const HEADER: usize = 20;
/// The length of an echo message: its header and a payload as short as it may be for
/// the whole frame to be of the least length that Ethernet has.
const ECHO: usize = 8 + 18;
/// The length of a TCP header with the one option that a SYN should carry.
const SYN: usize = 20 + 4;

/// A TCP segment, as far as it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Who sent it.
    pub from: Station<Ipv4Addr>,
    /// From which port.
    pub from_port: u16,
    /// To which port.
    pub to_port: u16,
    /// What it acknowledges.
    pub acknowledgement: u32,
    /// What the other side makes of the question.
    pub says: Says,
}

/// What a host says to the wish for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Somebody listens there.
    Open,
    /// Nobody listens there.
    Closed,
}

/// An echo request as ICMP carries it.
#[must_use]
pub fn echo_message(id: u16, sequence: u16) -> [u8; ECHO] {
    let mut message = [0; ECHO];
    if let Some(mut echo) = MutableEchoRequestPacket::new(&mut message) {
        echo.set_icmp_type(IcmpTypes::EchoRequest);
        echo.set_icmp_code(IcmpCode::new(0));
        echo.set_identifier(id);
        echo.set_sequence_number(sequence);
    }
    if let Some(sum) = IcmpPacket::new(&message).map(|packet| icmp::checksum(&packet)) {
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// Reads an ICMP message that answers an echo request: its number and its count.
#[must_use]
pub fn read_echo(message: &[u8]) -> Option<(u16, u16)> {
    let echo = EchoReplyPacket::new(message)?;
    let answers =
        echo.get_icmp_type() == IcmpTypes::EchoReply && echo.get_icmp_code() == IcmpCode::new(0);
    answers.then(|| (echo.get_identifier(), echo.get_sequence_number()))
}

/// A frame with an echo request.
#[must_use]
pub fn echo(
    own: Station<Ipv4Addr>,
    to: Station<Ipv4Addr>,
    id: u16,
    sequence: u16,
) -> [u8; ETHERNET + HEADER + ECHO] {
    let mut frame = [0; ETHERNET + HEADER + ECHO];
    frame[ETHERNET + HEADER..].copy_from_slice(&echo_message(id, sequence));
    packet(&mut frame, own, to, IpNextHeaderProtocols::Icmp);
    frame
}

/// A frame that asks for a connection.
#[must_use]
pub fn syn(
    own: Station<Ipv4Addr>,
    from_port: u16,
    to: Station<Ipv4Addr>,
    to_port: u16,
    sequence: u32,
) -> [u8; ETHERNET + HEADER + SYN] {
    let mut frame = [0; ETHERNET + HEADER + SYN];
    segment(&mut frame[ETHERNET + HEADER..], own.ip, to.ip, |tcp| {
        tcp.set_source(from_port);
        tcp.set_destination(to_port);
        tcp.set_sequence(sequence);
        tcp.set_flags(TcpFlags::SYN);
        tcp.set_window(1024);
        tcp.set_options(&[TcpOption::mss(1460)]);
    });
    packet(&mut frame, own, to, IpNextHeaderProtocols::Tcp);
    frame
}

/// A frame that takes such a wish back, so that the other side does not wait.
#[must_use]
pub fn reset(
    own: Station<Ipv4Addr>,
    from_port: u16,
    to: Station<Ipv4Addr>,
    to_port: u16,
    sequence: u32,
) -> [u8; ETHERNET + HEADER + HEADER] {
    let mut frame = [0; ETHERNET + HEADER + HEADER];
    segment(&mut frame[ETHERNET + HEADER..], own.ip, to.ip, |tcp| {
        tcp.set_source(from_port);
        tcp.set_destination(to_port);
        tcp.set_sequence(sequence);
        tcp.set_flags(TcpFlags::RST);
    });
    packet(&mut frame, own, to, IpNextHeaderProtocols::Tcp);
    frame
}

/// Writes a TCP header that fills the room, and its checksum.
fn segment(
    room: &mut [u8],
    from: Ipv4Addr,
    to: Ipv4Addr,
    write: impl FnOnce(&mut MutableTcpPacket<'_>),
) {
    let words = u8::try_from(room.len() / 4).unwrap_or(5);
    if let Some(mut tcp) = MutableTcpPacket::new(room) {
        tcp.set_data_offset(words);
        write(&mut tcp);
        let sum = tcp::ipv4_checksum(&tcp.to_immutable(), &from, &to);
        tcp.set_checksum(sum);
    }
}

/// Writes the headers of Ethernet and IPv4 before a payload that is in place already.
fn packet(
    frame: &mut [u8],
    own: Station<Ipv4Addr>,
    to: Station<Ipv4Addr>,
    carries: IpNextHeaderProtocol,
) {
    let length = u16::try_from(frame.len() - ETHERNET).unwrap_or(u16::MAX);
    if let Some(mut ip) = MutableIpv4Packet::new(ethernet(frame, own.mac, to.mac, EtherTypes::Ipv4))
    {
        ip.set_version(4);
        ip.set_header_length(5);
        ip.set_total_length(length);
        ip.set_flags(Ipv4Flags::DontFragment);
        ip.set_ttl(64);
        ip.set_next_level_protocol(carries);
        ip.set_source(own.ip);
        ip.set_destination(to.ip);
        let sum = ipv4::checksum(&ip.to_immutable());
        ip.set_checksum(sum);
    }
}

/// Reads a packet that answers.
pub(super) fn read(bytes: &[u8], by: MacAddr) -> Option<Heard> {
    let ip = Ipv4Packet::new(bytes)?;
    let whole =
        ip.get_version() == 4 && ip.get_header_length() >= 5 && ip.get_fragment_offset() == 0;
    // The header's own length may exceed what is there; then there is no payload.
    let payload = bytes.get(
        usize::from(ip.get_header_length()) * 4
            ..usize::from(ip.get_total_length()).min(bytes.len()),
    )?;
    let from = Station { mac: by, ip: ip.get_source() };
    match ip.get_next_level_protocol() {
        _ if !whole => None,
        IpNextHeaderProtocols::Icmp => {
            let (id, sequence) = read_echo(payload)?;
            Some(Heard::Echo { from: Station { mac: by, ip: from.ip.into() }, id, sequence })
        }
        IpNextHeaderProtocols::Tcp => {
            let tcp = TcpPacket::new(payload)?;
            let flags = tcp.get_flags();
            let says = match (flags & TcpFlags::RST != 0, flags & (TcpFlags::SYN | TcpFlags::ACK)) {
                (true, _) => Says::Closed,
                (false, both) if both == TcpFlags::SYN | TcpFlags::ACK => Says::Open,
                _ => return None,
            };
            Some(Heard::Segment(Segment {
                from,
                from_port: tcp.get_source(),
                to_port: tcp.get_destination(),
                acknowledgement: tcp.get_acknowledgement(),
                says,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    const OWN: Station<Ipv4Addr> =
        Station { mac: MacAddr([2, 0, 0, 0, 0, 1]), ip: Ipv4Addr::new(192, 0, 2, 1) };
    const HOST: Station<Ipv4Addr> =
        Station { mac: MacAddr([2, 0, 0, 0, 0, 9]), ip: Ipv4Addr::new(192, 0, 2, 9) };

    /// The ones' complement sum over a header with its checksum in it is all ones.
    fn sums_up(words: impl Iterator<Item = u16>) -> bool {
        let mut sum: u32 = words.map(u32::from).sum();
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff
    }

    fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
    }

    fn pseudo(frame: &[u8]) -> impl Iterator<Item = u16> {
        let ip = &frame[ETHERNET..];
        let length = u16::try_from(ip.len() - HEADER).unwrap();
        words(&ip[12..20])
            .chain([u16::from(ip[9]), length])
            .chain(words(&ip[HEADER..]))
            .collect::<Vec<_>>()
            .into_iter()
    }

    #[test]
    fn every_checksum_is_right() {
        let echo = echo(OWN, HOST, 0xbeef, 7);
        assert!(sums_up(words(&echo[ETHERNET..ETHERNET + HEADER])));
        assert!(sums_up(words(&echo[ETHERNET + HEADER..])));
        assert_eq!(echo.len(), 60);
        let syn = syn(OWN, 40_000, HOST, 443, 0xdead_beef);
        assert!(sums_up(words(&syn[ETHERNET..ETHERNET + HEADER])));
        assert!(sums_up(pseudo(&syn)));
        assert!(sums_up(pseudo(&reset(OWN, 40_000, HOST, 443, 1))));
    }

    #[test]
    fn an_echo_comes_back_with_its_number_and_count() {
        let mut frame = echo(HOST, OWN, 0xbeef, 7);
        assert_eq!(read(&frame), None, "a request is not an answer");
        frame[ETHERNET + HEADER] = 0;
        let from = Station { mac: HOST.mac, ip: HOST.ip.into() };
        assert_eq!(read(&frame), Some(Heard::Echo { from, id: 0xbeef, sequence: 7 }));
        // A later fragment has no header of ICMP, whatever its bytes look like.
        frame[ETHERNET + 7] = 1;
        assert_eq!(read(&frame), None);
    }

    #[test]
    fn a_segment_says_open_or_closed() {
        let mut frame = syn(HOST, 443, OWN, 40_000, 1);
        assert_eq!(read(&frame), None, "a wish of somebody else's");
        let flags = ETHERNET + HEADER + 13;
        for (bits, says) in [(0x12, Says::Open), (0x14, Says::Closed), (0x04, Says::Closed)] {
            frame[flags] = bits;
            match read(&frame) {
                Some(Heard::Segment(segment)) => {
                    assert_eq!(
                        (segment.from, segment.from_port, segment.to_port),
                        (HOST, 443, 40_000)
                    );
                    assert_eq!(segment.says, says);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
