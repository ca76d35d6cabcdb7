//! Sets of IPv4 addresses to ask, numbered from zero.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Addresses in disjoint ranges, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    /// How many addresses stand in the ranges before this one.
    before: u32,
}

impl Targets {
    /// The addresses of a subnet that a host can have: not the first and the last one,
    /// which name the network and everybody in it, except where there are only one or two.
    #[must_use]
    pub fn hosts_of(net: Ipv4Net) -> Self {
        let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
        if net.prefix_len() >= 31 {
            Targets::of([(first, last)])
        } else {
            Targets::of([(first + 1, last - 1)])
        }
    }

    /// All addresses of a subnet.
    #[must_use]
    pub fn all_of(net: Ipv4Net) -> Self {
        Targets::of([(u32::from(net.network()), u32::from(net.broadcast()))])
    }

    /// Ranges that may overlap, in any order.
    fn of(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut ranges: Vec<(u32, u32)> =
            ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last)
                }
                _ => merged.push((first, last)),
            }
        }
        let mut before = 0_u32;
        let ranges = merged
            .into_iter()
            .map(|(first, last)| {
                let range = Range { first, last, before };
                before = before.saturating_add((last - first).saturating_add(1));
                range
            })
            .collect();
        Targets { ranges }
    }

    fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        self.ranges.iter().map(|range| (range.first, range.last))
    }

    /// What is in any of the two.
    #[must_use]
    pub fn with(&self, other: &Targets) -> Self {
        Targets::of(self.pairs().chain(other.pairs()))
    }

    /// What is in both.
    #[must_use]
    pub fn within(&self, other: &Targets) -> Self {
        let shared = self.pairs().flat_map(|(first, last)| {
            other.pairs().map(move |(from, to)| (first.max(from), last.min(to)))
        });
        Targets::of(shared.collect::<Vec<_>>())
    }

    /// What is in this one alone.
    #[must_use]
    pub fn without(&self, other: &Targets) -> Self {
        let mut left: Vec<(u32, u32)> = self.pairs().collect();
        for (from, to) in other.pairs() {
            left = left
                .into_iter()
                .flat_map(|(first, last)| {
                    if to < first || from > last {
                        return [Some((first, last)), None];
                    }
                    let below = (first < from).then(|| (first, from - 1));
                    let above = (last > to).then(|| (to + 1, last));
                    [below, above]
                })
                .flatten()
                .collect();
        }
        Targets::of(left)
    }

    /// How many addresses there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.ranges.last().map_or(0, |range| {
            range.before.saturating_add((range.last - range.first).saturating_add(1))
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The address with this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<Ipv4Addr> {
        let at = self.ranges.partition_point(|range| range.before <= number).checked_sub(1)?;
        let range = self.ranges.get(at)?;
        let address = range.first.checked_add(number - range.before)?;
        (address <= range.last).then(|| address.into())
    }

    /// The number of this address.
    #[must_use]
    pub fn number(&self, ip: Ipv4Addr) -> Option<u32> {
        let address = u32::from(ip);
        let at = self.ranges.partition_point(|range| range.first <= address).checked_sub(1)?;
        let range = self.ranges.get(at)?;
        (address <= range.last).then(|| range.before + (address - range.first))
    }

    /// Parts of at most so many addresses, in order.
    #[must_use]
    pub fn chunks(&self, size: u32) -> Vec<Targets> {
        let mut chunks = Vec::new();
        let mut open: Vec<(u32, u32)> = Vec::new();
        let mut room = size;
        for (mut first, last) in self.pairs() {
            loop {
                let end = last.min(first.saturating_add(room - 1));
                open.push((first, end));
                room -= end - first + 1;
                if room == 0 {
                    chunks.push(Targets::of(open.drain(..)));
                    room = size;
                }
                if end == last {
                    break;
                }
                first = end + 1;
            }
        }
        if !open.is_empty() {
            chunks.push(Targets::of(open));
        }
        chunks
    }

    /// All addresses, in order.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.pairs().flat_map(|(first, last)| (first..=last).map(Ipv4Addr::from))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn hosts(net: &str) -> Targets {
        Targets::hosts_of(net.parse().unwrap())
    }

    #[test]
    fn network_and_broadcast_addresses_are_not_hosts() {
        assert_eq!(hosts("192.0.2.0/24").len(), 254);
        assert_eq!(hosts("192.0.2.0/24").get(0), Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(hosts("192.0.2.0/24").number(Ipv4Addr::new(192, 0, 2, 255)), None);
        assert_eq!(hosts("192.0.2.8/30").iter().count(), 2);
        assert_eq!(hosts("192.0.2.8/31").len(), 2);
        assert_eq!(hosts("192.0.2.8/32").len(), 1);
    }

    #[test]
    fn the_edges_of_the_address_space_are_no_trap() {
        let all = Targets::all_of("0.0.0.0/0".parse().unwrap());
        assert_eq!(all.len(), u32::MAX);
        assert_eq!(all.number(Ipv4Addr::BROADCAST), Some(u32::MAX));
        let top = Targets::all_of("255.255.255.255/32".parse().unwrap());
        assert_eq!(all.without(&top).get(u32::MAX), None);
        assert_eq!(top.with(&hosts("255.255.255.254/31")).len(), 2);
    }

    fn sets() -> impl Strategy<Value = Targets> {
        proptest::collection::vec((0_u32..300, 0_u32..40), 0..6).prop_map(|ranges| {
            Targets::of(ranges.into_iter().map(|(first, length)| (first, first + length)))
        })
    }

    fn plain(targets: &Targets) -> BTreeSet<Ipv4Addr> {
        targets.iter().collect()
    }

    proptest! {
        #[test]
        fn sets_behave_as_sets(a in sets(), b in sets(), size in 1_u32..50) {
            let (x, y) = (plain(&a), plain(&b));
            prop_assert_eq!(plain(&a.with(&b)), x.union(&y).copied().collect());
            prop_assert_eq!(plain(&a.within(&b)), x.intersection(&y).copied().collect());
            prop_assert_eq!(plain(&a.without(&b)), x.difference(&y).copied().collect());
            prop_assert_eq!(a.len() as usize, x.len());
            for (number, ip) in x.iter().enumerate() {
                let number = u32::try_from(number).unwrap();
                prop_assert_eq!(a.get(number), Some(*ip));
                prop_assert_eq!(a.number(*ip), Some(number));
            }
            prop_assert_eq!(a.get(a.len()), None);
            let chunks = a.chunks(size);
            prop_assert!(chunks.iter().all(|chunk| chunk.len() <= size));
            prop_assert_eq!(chunks.iter().flat_map(plain).collect::<BTreeSet<_>>(), x);
        }
    }
}
