//! What a source saw completely. Absence counts only there.
//!
//! "Cannot see" is not "gone": a scope is complete only when the source proved
//! it, and a scope that is not listed says nothing about what was in it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::name::SourceName;
use super::observation::{NativeKey, Segment};

/// One source's claim to have seen a scope whole, or the reason why not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coverage {
    /// The source that looked.
    pub source: SourceName,
    /// Where it looked.
    pub scope: Scope,
    /// How it looked, in a word or two: `arp`, `icmp`, `listing`.
    pub method: Arc<str>,
    /// Why what is missing here is not proven absent; `None` where it is.
    pub gap: Option<Arc<str>>,
}

/// A part of the world that a source can see whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Every address of a subnet, and with it every host on that link.
    Subnet {
        /// The segment in which the subnet lies.
        segment: Segment,
        /// The subnet.
        net: IpNet,
    },
    /// Every thing whose key begins so, such as `pve:homelab/`.
    Keys(Arc<str>),
}

impl Coverage {
    /// Whether what is missing in the scope counts as missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.gap.is_none()
    }
}

/// All that a run covered, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    claims: Vec<Coverage>,
}

impl Covered {
    /// Collects the claims; their order does not matter.
    #[must_use]
    pub fn new(mut claims: Vec<Coverage>) -> Self {
        claims.sort();
        claims.dedup();
        Covered { claims }
    }

    /// The claims, sorted.
    #[must_use]
    pub fn claims(&self) -> &[Coverage] {
        &self.claims
    }

    /// Whether a source spoke at all, be it of what it could not see. Every source that
    /// is configured does.
    #[must_use]
    pub fn mentions(&self, source: &str) -> bool {
        self.claims.iter().any(|claim| claim.source.as_str() == source)
    }

    /// Whether a source listed everything among which this key would be. A gap in a
    /// narrower or equal scope counts against a wider claim.
    #[must_use]
    pub fn covers_key(&self, source: &SourceName, key: &NativeKey) -> bool {
        self.is_whole(|claim| {
            claim.source == *source
                && matches!(&claim.scope, Scope::Keys(prefix) if is_within(key.as_str(), prefix))
        })
    }

    /// Whether any source did.
    #[must_use]
    pub fn anyone_covers_key(&self, key: &NativeKey) -> bool {
        self.is_whole(
            |claim| matches!(&claim.scope, Scope::Keys(prefix) if is_within(key.as_str(), prefix)),
        )
    }

    /// Whether a source looked at this address in a way that proves an absence.
    #[must_use]
    pub fn covers_address(&self, source: &SourceName, segment: &Segment, ip: IpAddr) -> bool {
        self.is_whole(|claim| claim.source == *source && is_at(&claim.scope, segment, ip))
    }

    /// Whether any source did.
    #[must_use]
    pub fn anyone_covers_address(&self, segment: &Segment, ip: IpAddr) -> bool {
        self.is_whole(|claim| is_at(&claim.scope, segment, ip))
    }

    /// Whether some complete claim is about it and no gap narrows it down: one of a
    /// narrower scope, or one of the same scope by the same method. What one method
    /// could not prove another may.
    fn is_whole(&self, about: impl Fn(&Coverage) -> bool) -> bool {
        let claims: Vec<&Coverage> = self.claims.iter().filter(|claim| about(claim)).collect();
        let spoils = |gap: &Coverage, whole: &Coverage| {
            let (inner, outer) = (gap.scope.narrowness(), whole.scope.narrowness());
            gap.source == whole.source
                && (inner > outer || (inner == outer && gap.method == whole.method))
        };
        let (whole, gaps): (Vec<&Coverage>, Vec<&Coverage>) =
            claims.into_iter().partition(|claim| claim.is_complete());
        whole.iter().any(|whole| gaps.iter().all(|gap| !spoils(gap, whole)))
    }
}

impl Scope {
    /// How narrow a scope is among those that hold the same thing.
    fn narrowness(&self) -> usize {
        match self {
            Scope::Subnet { net, .. } => usize::from(net.prefix_len()),
            Scope::Keys(prefix) => prefix.len(),
        }
    }
}

fn is_at(scope: &Scope, at: &Segment, ip: IpAddr) -> bool {
    matches!(scope, Scope::Subnet { segment, net } if segment == at && net.contains(&ip))
}

/// Whether a key stands under a prefix that ends at a part of the key.
fn is_within(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('/') || prefix.ends_with(['/', ':'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(scope: Scope, gap: Option<&str>) -> Coverage {
        Coverage {
            source: "lab".parse().unwrap(),
            scope,
            method: "listing".into(),
            gap: gap.map(Into::into),
        }
    }

    #[test]
    fn a_gap_in_a_part_counts_against_the_whole() {
        let covered = Covered::new(vec![
            claim(Scope::Keys("pve:lab/".into()), None),
            claim(Scope::Keys("pve:lab/qemu/7".into()), Some("no statistics")),
        ]);
        let lab = "lab".parse().unwrap();
        assert!(covered.covers_key(&lab, &"pve:lab/qemu/8".parse().unwrap()));
        assert!(!covered.covers_key(&lab, &"pve:lab/qemu/7".parse().unwrap()));
        assert!(covered.covers_key(&lab, &"pve:lab/qemu/70".parse().unwrap()));
        assert!(!covered.covers_key(&lab, &"pve:other/qemu/8".parse().unwrap()));
        assert!(!covered.covers_key(&"sweep".parse().unwrap(), &"pve:lab/qemu/8".parse().unwrap()));
    }

    #[test]
    fn what_one_method_cannot_prove_another_may() {
        let net =
            |text: &str| Scope::Subnet { segment: Segment::default(), net: text.parse().unwrap() };
        let of = |method: &str, scope, gap| Coverage { method: method.into(), ..claim(scope, gap) };
        let covered = Covered::new(vec![
            of("arp", net("192.0.2.0/24"), None),
            of("icmp", net("192.0.2.0/24"), Some("hosts may drop echo requests")),
            of("arp", net("192.0.2.128/25"), Some("the link went down")),
        ]);
        let covers =
            |ip: &str| covered.anyone_covers_address(&Segment::default(), ip.parse().unwrap());
        assert!(covers("192.0.2.7"));
        assert!(!covers("192.0.2.200"));
        assert!(!covers("198.51.100.1"));
    }
}
