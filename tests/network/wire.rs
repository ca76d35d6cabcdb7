//! Packets of the lab, written and read byte by byte: independent of the code under test.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) type Mac = [u8; 6];

pub(crate) fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn ethernet(from: Mac, to: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&to[..], &from[..], &kind.to_be_bytes(), payload].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

pub(crate) fn arp_reply(mac: Mac, ip: Ipv4Addr, to: Mac, to_ip: Ipv4Addr) -> Vec<u8> {
    let payload =
        [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac[..], &ip.octets(), &to, &to_ip.octets()].concat();
    ethernet(mac, to, 0x0806, &payload)
}

pub(crate) fn ipv4(
    mac: Mac,
    ip: Ipv4Addr,
    to: Mac,
    to_ip: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&ip.octets());
    header[16..20].copy_from_slice(&to_ip.octets());
    let check = sum(&header, 0);
    header[10..12].copy_from_slice(&check.to_be_bytes());
    ethernet(mac, to, 0x0800, &[&header[..], payload].concat())
}

pub(crate) fn echo_reply(request: &[u8]) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[0] = 0;
    reply[2..4].fill(0);
    let check = sum(&reply, 0);
    reply[2..4].copy_from_slice(&check.to_be_bytes());
    reply
}

/// "Port unreachable", quoting the packet.
pub(crate) fn unreachable(packet: &[u8]) -> Vec<u8> {
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&packet[..packet.len().min(28)]);
    let check = sum(&message, 0);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    message
}

pub(crate) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram = Vec::new();
    for number in [from, to, length, 0] {
        datagram.extend_from_slice(&number.to_be_bytes());
    }
    datagram.extend_from_slice(payload);
    datagram
}

/// A segment without payload, with these flags.
pub(crate) fn tcp(
    ip: Ipv4Addr,
    from: u16,
    to_ip: Ipv4Addr,
    to: u16,
    numbers: [u32; 2],
    flags: u8,
) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend_from_slice(&from.to_be_bytes());
    segment.extend_from_slice(&to.to_be_bytes());
    segment.extend_from_slice(&numbers[0].to_be_bytes());
    segment.extend_from_slice(&numbers[1].to_be_bytes());
    segment.extend_from_slice(&[0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    let pseudo = [&ip.octets()[..], &to_ip.octets(), &[0, 6, 0, 20]].concat();
    let start = u32::from(!sum(&pseudo, 0));
    let check = sum(&segment, start);
    segment[16..18].copy_from_slice(&check.to_be_bytes());
    segment
}

pub(crate) fn ipv6(mac: Mac, ip: Ipv6Addr, to: Mac, to_ip: Ipv6Addr, mut icmp: Vec<u8>) -> Vec<u8> {
    let length = icmp.len() as u16;
    icmp[2..4].fill(0);
    let pseudo =
        [&ip.octets()[..], &to_ip.octets(), &[0, 0], &length.to_be_bytes(), &[0, 0, 0, 58]]
            .concat();
    let check = sum(&icmp, u32::from(!sum(&pseudo, 0)));
    icmp[2..4].copy_from_slice(&check.to_be_bytes());
    let mut header = [0; 40];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&length.to_be_bytes());
    header[6] = 58;
    header[7] = 255;
    header[8..24].copy_from_slice(&ip.octets());
    header[24..40].copy_from_slice(&to_ip.octets());
    ethernet(mac, to, 0x86dd, &[&header[..], &icmp].concat())
}

/// An advertisement of this address at this MAC address.
pub(crate) fn advertisement(ip: Ipv6Addr, mac: Mac) -> Vec<u8> {
    [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &ip.octets(), &[2, 1], &mac].concat()
}

/// "I do not know the option", quoting the packet.
pub(crate) fn objection(packet: &[u8]) -> Vec<u8> {
    [&[4, 2, 0, 0, 0, 0, 0, 42][..], &packet[..packet.len().min(80)]].concat()
}

/// The address whose name a question asks for (a PTR record), and where the next one begins.
pub(crate) fn reverse_question(message: &[u8], at: usize) -> Option<(IpAddr, usize)> {
    let mut labels = Vec::new();
    let (mut place, mut end) = (at, None);
    loop {
        let length = usize::from(*message.get(place)?);
        if length >= 0xc0 {
            // The rest stands elsewhere.
            end = end.or(Some(place + 2));
            place = (length & 0x3f) << 8 | usize::from(*message.get(place + 1)?);
            if labels.len() > 40 {
                return None;
            }
            continue;
        }
        place += 1;
        if length == 0 {
            break;
        }
        let label = message.get(place..place + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        place += length;
    }
    let end = end.unwrap_or(place);
    let kind = half(message.get(end..end + 4)?, 0);
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    match labels[..] {
        [d, c, b, a, "in-addr", "arpa"] if kind == 12 => {
            let ip: Ipv4Addr = format!("{a}.{b}.{c}.{d}").parse().ok()?;
            Some((ip.into(), end + 4))
        }
        _ => None,
    }
}

/// A name as it stands in a message; its labels may hold any bytes.
pub(crate) fn name(labels: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes
}

/// The answer to a question for the name of an address: a PTR record, or that there is none.
pub(crate) fn dns_answer(query: &[u8], ip: Ipv4Addr, target: Option<&[u8]>) -> Vec<u8> {
    let mut message = query[..2].to_vec();
    let code: u16 = if target.is_some() { 0x8580 } else { 0x8583 };
    message.extend_from_slice(&code.to_be_bytes());
    for count in [1, u16::from(target.is_some()), 0, 0] {
        message.extend_from_slice(&count.to_be_bytes());
    }
    let mut labels: Vec<String> = ip.octets().iter().rev().map(u8::to_string).collect();
    labels.extend(["in-addr".to_owned(), "arpa".to_owned()]);
    let labels: Vec<&[u8]> = labels.iter().map(|label| label.as_bytes()).collect();
    message.extend_from_slice(&name(&labels));
    message.extend_from_slice(&[0, 12, 0, 1]);
    if let Some(target) = target {
        message.extend_from_slice(&[0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&(target.len() as u16).to_be_bytes());
        message.extend_from_slice(target);
    }
    message
}

/// The address of an interface made of its MAC address.
pub(crate) fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
