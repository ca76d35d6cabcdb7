//! Property strings of guests' configurations: `virtio=BC:24:…,bridge=vmbr0,tag=20`
//! and the like become values. Nothing here fails: what cannot be read is not known.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::answer::is_on;
use crate::domain::mac::MacAddr;

/// A property string, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Properties(Vec<(String, String)>);

impl Properties {
    /// Takes a string apart; what has no key gets the given one.
    pub(super) fn parse(text: &str, default_key: &str) -> Self {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let pairs = parts.map(|part| match part.split_once('=') {
            Some((key, value)) => (key.trim().to_owned(), value.trim().to_owned()),
            None => (default_key.to_owned(), part.to_owned()),
        });
        Properties(pairs.collect())
    }

    /// The value of a key, where it is not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn is(&self, key: &str) -> bool {
        self.get(key).is_some_and(is_on)
    }
}

/// How an interface comes by its address of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assignment<N> {
    /// It is written in the configuration, perhaps with a gateway.
    Static {
        /// The address with its mask.
        net: N,
        /// Whether a gateway is written beside it.
        gateway: bool,
    },
    /// By DHCP or router advertisements.
    Dynamic,
    /// The configuration leaves it to the guest.
    Unsaid,
}

impl<N> Assignment<N> {
    pub(super) const fn is_dynamic(&self) -> bool {
        matches!(self, Assignment::Dynamic)
    }
}

/// A network interface of a guest, as its hypervisor configures it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nic {
    /// The hypervisor's name of it: `net0` of a virtual machine, `eth0` of a container.
    pub name: String,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
    /// What the guest sees it as: `virtio`, `e1000`, `veth`.
    pub model: Option<String>,
    /// The bridge or virtual network that it is plugged into.
    pub bridge: Option<String>,
    /// The VLAN of its untagged frames.
    pub tag: Option<u16>,
    /// The VLANs whose tagged frames pass.
    pub trunks: Option<Vids>,
    /// Its MTU, where it has one of its own.
    pub mtu: Option<i64>,
    /// Whether its cable is pulled.
    pub link_down: bool,
    /// How it comes by its IPv4 address.
    pub v4: Assignment<Ipv4Net>,
    /// How it comes by its IPv6 address.
    pub v6: Assignment<Ipv6Net>,
}

impl Nic {
    /// A NIC of a virtual machine, with what cloud-init is told of it.
    pub(super) fn of_machine(number: u32, text: &str, cloud_init: Option<&str>) -> Self {
        let properties = Properties::parse(text, "model");
        // `virtio=BC:24:…` names model and MAC address at once.
        let both = properties.0.iter().find_map(|(key, value)| {
            let mac = value.parse().ok().filter(|_| key != "macaddr")?;
            Some((key.clone(), mac))
        });
        let written = properties.get("macaddr").and_then(|mac| mac.parse().ok());
        let model = properties.get("model").map(str::to_owned);
        let told = Properties::parse(cloud_init.unwrap_or_default(), "");
        Nic {
            name: format!("net{number}"),
            mac: both.as_ref().map(|(_, mac)| *mac).or(written),
            model: both.map(|(model, _)| model).or(model),
            ..Nic::plugged(&properties, &told)
        }
    }

    /// A NIC of a container.
    pub(super) fn of_container(number: u32, text: &str) -> Self {
        let properties = Properties::parse(text, "name");
        Nic {
            name: properties.get("name").map_or_else(|| format!("eth{number}"), str::to_owned),
            mac: properties.get("hwaddr").and_then(|mac| mac.parse().ok()),
            model: Some(properties.get("type").unwrap_or("veth").to_owned()),
            ..Nic::plugged(&properties, &properties)
        }
    }

    fn plugged(properties: &Properties, told: &Properties) -> Self {
        Nic {
            name: String::new(),
            mac: None,
            model: None,
            bridge: properties.get("bridge").map(str::to_owned),
            tag: properties.get("tag").and_then(|tag| tag.parse().ok()).filter(is_vid),
            trunks: properties.get("trunks").map(Vids::parse).filter(|vids| !vids.0.is_empty()),
            // An MTU of 1 is that of the bridge, whatever it is.
            mtu: properties.get("mtu").and_then(|mtu| mtu.parse().ok()).filter(|mtu| *mtu > 1),
            link_down: properties.is("link_down"),
            v4: assignment(told.get("ip"), told.get("gw").and_then(parsed::<Ipv4Addr>).is_some()),
            v6: assignment(told.get("ip6"), told.get("gw6").and_then(parsed::<Ipv6Addr>).is_some()),
        }
    }

    /// The addresses that the configuration gives it, with whether a gateway stands beside.
    pub(super) fn written(&self) -> Vec<(IpNet, bool)> {
        let mut written = Vec::new();
        if let Assignment::Static { net, gateway } = self.v4 {
            written.push((IpNet::V4(net), gateway));
        }
        if let Assignment::Static { net, gateway } = self.v6 {
            written.push((IpNet::V6(net), gateway));
        }
        written
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn assignment<N: std::str::FromStr>(text: Option<&str>, gateway: bool) -> Assignment<N> {
    match text {
        Some("dhcp" | "auto") => Assignment::Dynamic,
        Some(text) => match text.parse() {
            Ok(net) => Assignment::Static { net, gateway },
            Err(_) => Assignment::Unsaid,
        },
        None => Assignment::Unsaid,
    }
}

pub(super) fn is_vid(vid: &u16) -> bool {
    (1..=4094).contains(vid)
}

/// VLAN ids, as `10;20-30` or `2-4094` list them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vids(BTreeSet<u16>);

/// A list that is longer than this means "all that there are": nobody keeps hundreds of
/// VLANs in his books because a port lets them pass.
const MANY: usize = 256;

impl Vids {
    /// Reads a list; ranges may stand in it.
    pub(super) fn parse(text: &str) -> Self {
        let parts = text.split([';', ',', ' ']).map(str::trim);
        let ranges = parts.filter_map(|part| match part.split_once('-') {
            Some((from, to)) => Some(from.parse::<u16>().ok()?..=to.parse::<u16>().ok()?),
            None => part.parse::<u16>().ok().map(|vid| vid..=vid),
        });
        Vids(ranges.flat_map(|range| range.take(4094)).filter(is_vid).collect())
    }

    /// The ids, where they are few enough to be meant one by one.
    pub(super) fn listed(&self) -> Option<impl Iterator<Item = i64> + '_> {
        (self.0.len() <= MANY).then(|| self.0.iter().map(|vid| i64::from(*vid)))
    }
}

/// The whole MiB of a size such as `32G`, `528K` or a number of bytes. NetBox counts
/// disks and memory in MB; as Proxmox counts in powers of two, one GiB is 1024 MB here,
/// so that both show the same numbers.
pub(super) fn mebibytes(size: &str) -> Option<i64> {
    let size = size.trim();
    let (digits, shift) = match size.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&size[..size.len() - 1], 10),
        b'M' => (&size[..size.len() - 1], 20),
        b'G' => (&size[..size.len() - 1], 30),
        b'T' => (&size[..size.len() - 1], 40),
        _ => (size, 0),
    };
    let number: f64 = digits.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0)?;
    let mebibytes = (number * f64::from(shift - 20).exp2()).ceil();
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked on this line")]
    (mebibytes < 9.0e15).then_some(mebibytes as i64)
}

/// The words of a list of tags, whichever way they are parted.
pub(super) fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.split([';', ',', ' ']).map(str::trim).filter(|tag| !tag.is_empty())
}

/// Whether a guest agent is switched on: `1`, `enabled=1,fstrim_cloned_disks=1`, ….
pub(super) fn agent_is_on(text: Option<&str>) -> bool {
    Properties::parse(text.unwrap_or_default(), "enabled").is("enabled")
}

/// The MB of memory that a virtual machine has: `2048`, or `current=2048` since 8.1.
pub(super) fn memory(text: &str) -> Option<i64> {
    Properties::parse(text, "current").get("current")?.parse().ok()
}

/// What an operating system's type means to people.
pub(super) fn platform(ostype: &str) -> Option<&'static str> {
    Some(match ostype {
        "l26" => "Linux",
        "l24" => "Linux 2.4",
        "win11" => "Windows 11/2022/2025",
        "win10" => "Windows 10/2016/2019",
        "win8" => "Windows 8/2012",
        "win7" => "Windows 7/2008 R2",
        "w2k8" => "Windows Vista/2008",
        "wvista" => "Windows Vista",
        "w2k3" => "Windows Server 2003",
        "w2k" => "Windows 2000",
        "wxp" => "Windows XP",
        "solaris" => "Solaris",
        "alpine" => "Alpine Linux",
        "archlinux" => "Arch Linux",
        "centos" => "CentOS",
        "debian" => "Debian",
        "devuan" => "Devuan",
        "fedora" => "Fedora",
        "gentoo" => "Gentoo",
        "nixos" => "NixOS",
        "openeuler" => "openEuler",
        "opensuse" => "openSUSE",
        "ubuntu" => "Ubuntu",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(text: &str) -> Nic {
        Nic::of_machine(0, text, None)
    }

    #[test]
    fn a_nic_of_a_virtual_machine_is_read_as_proxmox_reads_it() {
        // Strings that Proxmox VE's own parser was asked about, and what it read.
        let nic = machine("virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,tag=20");
        assert_eq!(nic.mac, Some("bc:24:11:aa:bb:cc".parse().unwrap()));
        let read = (nic.model.as_deref(), nic.bridge.as_deref(), nic.tag, nic.link_down);
        assert_eq!(read, (Some("virtio"), Some("vmbr0"), Some(20), false));

        let nic = machine("model=e1000,macaddr=02:00:00:00:00:01,bridge=vmbr0");
        assert_eq!(nic.mac, Some("02:00:00:00:00:01".parse().unwrap()));
        assert_eq!(nic.model.as_deref(), Some("e1000"));

        let nic = machine("virtio,bridge=vmbr1,link_down=1,trunks=10;20-22");
        assert_eq!((nic.mac, nic.model.as_deref(), nic.link_down), (None, Some("virtio"), true));
        let trunks: Vec<i64> = nic.trunks.as_ref().unwrap().listed().unwrap().collect();
        assert_eq!(trunks, [10, 20, 21, 22]);

        let nic = machine("e1000=52:54:00:12:34:56,bridge=vmbr0,queues=4,rate=12.5,mtu=1");
        assert_eq!((nic.mtu, nic.tag), (None, None), "an MTU of 1 is the bridge's");
        assert_eq!(machine("virtio=BC:24:11:AA:BB:CC,bridge=vnet1,mtu=9000").mtu, Some(9000));
        assert_eq!(machine("virtio=BC:24:11:AA:BB:CC,tag=0").tag, None);
        assert_eq!(machine("virtio=BC:24:11:AA:BB:CC,tag=5000").tag, None);
        assert_eq!(machine("").mac, None);
    }

    #[test]
    fn a_nic_of_a_container_brings_its_addresses() {
        let nic = Nic::of_container(
            3,
            "name=lan0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=192.0.2.7/24,gw=192.0.2.1,ip6=auto,tag=20,type=veth",
        );
        assert_eq!((nic.name.as_str(), nic.tag), ("lan0", Some(20)));
        assert_eq!(nic.written(), [("192.0.2.7/24".parse().unwrap(), true)]);
        assert!(nic.v6.is_dynamic());
        for text in ["name=eth0,ip=manual", "name=eth0", "name=eth0,ip=300.1.1.1/24"] {
            assert_eq!(Nic::of_container(0, text).v4, Assignment::Unsaid, "{text}");
        }
        assert_eq!(Nic::of_container(3, "bridge=vmbr0").name, "eth3");
    }

    #[test]
    fn cloud_init_tells_addresses_of_virtual_machines() {
        let nic = Nic::of_machine(
            1,
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr0",
            Some("gw=10.0.0.1,ip=10.0.0.9/16,ip6=2001:db8::9/64"),
        );
        let expected =
            [("10.0.0.9/16".parse().unwrap(), true), ("2001:db8::9/64".parse().unwrap(), false)];
        assert_eq!((nic.name.as_str(), nic.written()), ("net1", expected.to_vec()));
        assert!(Nic::of_machine(0, "virtio", Some("ip=dhcp")).v4.is_dynamic());
    }

    #[test]
    fn sizes_are_whole_mebibytes() {
        for (size, expected) in [
            ("32G", 32_768),
            ("1.5G", 1_536),
            ("512M", 512),
            ("2T", 2_097_152),
            ("528K", 1),
            ("4M", 4),
            ("1073741824", 1_024),
        ] {
            assert_eq!(mebibytes(size), Some(expected), "{size}");
        }
        for size in ["", "G", "none", "-3G", "0", "NaN"] {
            assert_eq!(mebibytes(size), None, "{size}");
        }
    }

    #[test]
    fn settings_that_changed_their_shape_are_read_in_every_shape() {
        assert_eq!((memory("2048"), memory("current=4096")), (Some(2048), Some(4096)));
        for (text, on) in [
            (Some("1"), true),
            (Some("enabled=1,fstrim_cloned_disks=1"), true),
            (Some("1,type=virtio"), true),
            (Some("0"), false),
            (Some("enabled=0"), false),
            (None, false),
        ] {
            assert_eq!(agent_is_on(text), on, "{text:?}");
        }
        for text in ["a;b", "a,b", "a b", ";a;;b;"] {
            assert_eq!(tags(text).collect::<Vec<_>>(), ["a", "b"], "{text}");
        }
    }

    #[test]
    fn a_trunk_of_everything_is_no_list() {
        assert!(Vids::parse("2-4094").listed().is_none());
        assert_eq!(Vids::parse("0-3;9;x;20-18;4094-9999").listed().unwrap().last(), Some(4094));
    }
}
