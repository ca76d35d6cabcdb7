//! Programs by which the kernel drops what nobody here wants, before it is copied.
//!
//! A [`Filter`] is a list of alternatives; a frame passes when all checks of one of
//! them hold. That is all a sweep needs, and little enough to be plainly right.

/// Where a check looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// One byte at an offset.
    Byte(u32),
    /// Two bytes, most significant first.
    Half(u32),
    /// Four bytes, most significant first.
    Word(u32),
    /// One byte after an IPv4 header that begins at the first offset.
    ByteAfterIpv4(u32, u32),
    /// Two bytes after an IPv4 header that begins at the first offset.
    HalfAfterIpv4(u32, u32),
    /// 1 where the frame came with a VLAN tag, which the kernel takes off before this.
    VlanTag,
}

/// What must be found there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Where to look.
    pub load: Load,
    /// The bits that matter.
    pub mask: u32,
    /// What they must be.
    pub is: u32,
}

impl Check {
    /// All bits must be these.
    #[must_use]
    pub const fn is(load: Load, is: u32) -> Self {
        Check { load, mask: u32::MAX, is }
    }

    /// These bits must be so; the others do not matter.
    #[must_use]
    pub const fn bits(load: Load, mask: u32, is: u32) -> Self {
        Check { load, mask, is }
    }
}

/// A program for the kernel.
#[derive(Clone)]
pub struct Filter {
    program: Vec<libc::sock_filter>,
}

/// How much of a frame that passes is kept.
const KEPT: u32 = 0xffff;
/// Where the kernel shows a frame's VLAN tag to filters (`SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT`).
const VLAN_TAG_PRESENT: u32 = (-0x1000_i32 + 48) as u32;

impl Filter {
    /// Lets through what satisfies all checks of any of the alternatives.
    #[must_use]
    pub fn any_of(alternatives: &[&[Check]]) -> Self {
        let mut program = Vec::new();
        for checks in alternatives {
            let parts: Vec<Vec<libc::sock_filter>> =
                checks.iter().map(|check| compile(*check)).collect();
            let mut left: usize = parts.iter().map(Vec::len).sum();
            for mut part in parts {
                left -= part.len();
                // A check that fails jumps over the rest of its alternative and over the
                // instruction that lets the frame through.
                if let Some(jump) = part.last_mut() {
                    jump.jf = u8::try_from(left + 1).unwrap_or(u8::MAX);
                }
                program.append(&mut part);
            }
            program.push(instruction(libc::BPF_RET | libc::BPF_K, KEPT));
        }
        program.push(instruction(libc::BPF_RET | libc::BPF_K, 0));
        Filter { program }
    }

    /// Lets nothing through.
    #[must_use]
    pub fn nothing() -> Self {
        Filter::any_of(&[])
    }

    pub(super) fn program(&self) -> &[libc::sock_filter] {
        &self.program
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Filter of {} instructions", self.program.len())
    }
}

fn instruction(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
}

/// A load, a mask where one is needed, and the comparison, whose false branch is open.
fn compile(check: Check) -> Vec<libc::sock_filter> {
    use libc::{
        BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LDX,
        BPF_MSH, BPF_W,
    };
    let mut code = match check.load {
        Load::Byte(at) => vec![instruction(BPF_LD | BPF_B | BPF_ABS, at)],
        Load::Half(at) => vec![instruction(BPF_LD | BPF_H | BPF_ABS, at)],
        Load::Word(at) => vec![instruction(BPF_LD | BPF_W | BPF_ABS, at)],
        Load::ByteAfterIpv4(header, at) => vec![
            instruction(BPF_LDX | BPF_B | BPF_MSH, header),
            instruction(BPF_LD | BPF_B | BPF_IND, header + at),
        ],
        Load::HalfAfterIpv4(header, at) => vec![
            instruction(BPF_LDX | BPF_B | BPF_MSH, header),
            instruction(BPF_LD | BPF_H | BPF_IND, header + at),
        ],
        Load::VlanTag => vec![instruction(BPF_LD | BPF_B | BPF_ABS, VLAN_TAG_PRESENT)],
    };
    if check.mask != u32::MAX {
        code.push(instruction(BPF_ALU | BPF_AND | BPF_K, check.mask));
    }
    code.push(instruction(BPF_JMP | BPF_JEQ | BPF_K, check.is));
    code
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::net::UnixDatagram;

    use super::super::link::attach;
    use super::*;

    /// The datagrams that the kernel lets through.
    fn passing(filter: &Filter, datagrams: &[&[u8]]) -> Vec<Vec<u8>> {
        let (from, to) = UnixDatagram::pair().unwrap();
        to.set_nonblocking(true).unwrap();
        attach(&to, filter).unwrap();
        for datagram in datagrams {
            // A refused datagram is an error for the sender of a local socket.
            let _ = from.send(datagram);
        }
        let mut passed = Vec::new();
        let mut room = [0; 64];
        loop {
            match to.recv(&mut room) {
                Ok(length) => passed.push(room[..length].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return passed,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn the_kernel_lets_through_what_satisfies_one_alternative_whole() {
        let filter = Filter::any_of(&[
            &[Check::is(Load::Half(0), 0x0806), Check::is(Load::Byte(2), 7)],
            &[Check::bits(Load::Word(0), 0xff00_00ff, 0x4500_0001)],
        ]);
        let wanted: [&[u8]; 2] = [&[8, 6, 7, 9], &[0x45, 1, 2, 1]];
        let unwanted: [&[u8]; 4] = [&[8, 6, 8, 9], &[8, 7, 7, 9], &[0x45, 1, 2, 2], &[8]];
        let all: Vec<&[u8]> = wanted.into_iter().chain(unwanted).collect();
        assert_eq!(passing(&filter, &all), wanted);
    }

    #[test]
    fn a_header_of_any_length_is_stepped_over() {
        let filter = Filter::any_of(&[&[Check::is(Load::HalfAfterIpv4(1, 2), 0xbeef)]]);
        let mut short = vec![0; 1 + 20 + 4];
        short[1] = 0x45;
        short[23..25].copy_from_slice(&[0xbe, 0xef]);
        let mut long = vec![0; 1 + 24 + 4];
        long[1] = 0x46;
        long[27..29].copy_from_slice(&[0xbe, 0xef]);
        let mut other = long.clone();
        other[1] = 0x45;
        assert_eq!(passing(&filter, &[&short, &long, &other]), [short.clone(), long.clone()]);
    }

    #[test]
    fn nothing_passes_where_nothing_is_wanted() {
        assert!(passing(&Filter::nothing(), &[b"x"]).is_empty());
    }
}
