//! A campus of any size, made of a seed: what its sources say of it, and what is true.
//!
//! Every device is spoken of five times. It has what identity stumbles over: copied
//! guests, addresses that moved, docks and boards whose MAC addresses several things
//! report, serial numbers and UUIDs that firmware left unset, phones with made-up MAC
//! addresses, names that many bear. The bench of the merge and the tests share it.

use std::net::{IpAddr, Ipv4Addr};

use jiff::{SignedDuration, Timestamp};
use netbox_agent::domain::mac::MacAddr;
use netbox_agent::domain::name::SourceName;
use netbox_agent::domain::observation::{
    Address, Authority, Form, Host, HostAttribute, Interface, NativeKey, Observation, Segment,
    Thing,
};

/// An observation and the device that it truly is of.
pub(crate) type Labelled = (u32, Observation);

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Desktop,
    Laptop,
    Guest,
    Container,
    Thing,
    Phone,
}

const PLACEHOLDER_SERIALS: [&str; 4] =
    ["To be filled by O.E.M.", "Default string", "System Serial Number", "0"];
const PLACEHOLDER_UUID: &str = "03000200-0400-0500-0006-000700080009";
const COMMON_NAMES: [&str; 4] = ["printer", "desktop", "ubuntu", "localhost"];

/// A small generator of numbers, so that a seed means the same campus everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Whether something happens that happens so often in a hundred times.
    fn percent(&mut self, share: u64) -> bool {
        self.roll() % 100 < share
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll() as usize % words.len()]
    }
}

/// What all sources say of a campus of so many devices.
pub(crate) fn campus(devices: u32, seed: u64) -> Vec<Labelled> {
    let mut dice = Dice(seed);
    let mut all = Vec::with_capacity(devices as usize * 5);
    let mut former: Option<Former> = None;
    for number in 0..devices {
        let sort = match number % 20 {
            0..=6 => Sort::Desktop,
            7..=9 => Sort::Laptop,
            10..=13 => Sort::Guest,
            14 | 15 => Sort::Container,
            16..=18 => Sort::Thing,
            _ => Sort::Phone,
        };
        let device = Device::new(number, sort, former.take(), &mut dice);
        let said = device.said(&mut dice);
        assert_eq!(said.len(), 5, "{sort:?}");
        all.extend(said.into_iter().map(|observation| (number, observation)));
        former = Some(Former { sort, mac: device.mac, uuid: device.uuid, ip: device.ip });
    }
    all
}

/// The device before: what a copy, or whoever gets its address, has of it.
struct Former {
    sort: Sort,
    mac: MacAddr,
    uuid: String,
    ip: IpAddr,
}

struct Device {
    number: u32,
    sort: Sort,
    mac: MacAddr,
    uuid: String,
    serial: String,
    name: String,
    ip: IpAddr,
    /// An address that it had until another got it.
    lost: Option<IpAddr>,
    /// A dock or a board's second port that several things report.
    shared: Option<MacAddr>,
}

impl Device {
    fn new(number: u32, sort: Sort, former: Option<Former>, dice: &mut Dice) -> Self {
        let [_, a, b, c] = number.to_be_bytes();
        let copied = former
            .as_ref()
            .filter(|former| former.sort == Sort::Guest && sort == Sort::Guest)
            .filter(|_| dice.percent(4));
        let mac = match sort {
            Sort::Guest | Sort::Container => MacAddr([0xbc, 0x24, 0x11, a, b, c]),
            Sort::Phone => MacAddr([0xda, dice.roll() as u8, 0x19, a, b, c]),
            _ => MacAddr([0x00, 0x1b, 0x21, a, b, c]),
        };
        let uuid = format!("4c4c4544-{:04x}-4b10-8032-{number:012x}", dice.roll() & 0xffff);
        let board_is_blank = dice.percent(12);
        let serial = if board_is_blank {
            dice.pick(&PLACEHOLDER_SERIALS).to_owned()
        } else {
            format!("7XK{number:06}Q")
        };
        let uuid = match copied {
            Some(former) => former.uuid.clone(),
            None if board_is_blank => PLACEHOLDER_UUID.to_owned(),
            None => uuid,
        };
        let name = if dice.percent(3) {
            dice.pick(&COMMON_NAMES).to_owned()
        } else {
            format!("host-{number:05}.campus")
        };
        Device {
            number,
            sort,
            mac: copied.map_or(mac, |former| former.mac),
            uuid,
            serial,
            name,
            ip: address(number),
            lost: former.filter(|_| dice.percent(5)).map(|former| former.ip),
            // Some share one dock with the next, and some report the one that the shop sold to all.
            shared: (sort == Sort::Laptop).then_some(MacAddr([
                0x00,
                0x50,
                0xb6,
                0,
                (number / 400) as u8,
                (number / 40 % 10) as u8,
            ])),
        }
    }

    /// Everything that is said of it: five observations, whatever it is.
    fn said(&self, dice: &mut Dice) -> Vec<Observation> {
        let mut said = vec![self.answer(), self.lease(self.ip, 0)];
        said.push(match self.lost {
            Some(ip) => self.lease(ip, 600),
            None => self.pointer(),
        });
        match self.sort {
            Sort::Desktop | Sort::Laptop => said.extend([self.agent(), self.port(dice)]),
            Sort::Guest => said.extend([self.configuration(), self.inside()]),
            Sort::Container => said.extend([self.configuration(), self.port(dice)]),
            Sort::Thing => said.extend([self.entry("tracker"), self.entry("plug")]),
            Sort::Phone => said.extend([self.second_answer(), self.pointer()]),
        }
        said
    }

    fn answer(&self) -> Observation {
        let mut host = Host::default();
        host.interfaces.push(nic(None, Some(self.mac), &[self.ip]));
        seen("lan", Authority::Wire, "arp reply", host)
    }

    fn second_answer(&self) -> Observation {
        let mut host = Host::default();
        host.interfaces.push(nic(None, None, &[self.ip]));
        seen("lan", Authority::Wire, "echo reply", host)
    }

    fn lease(&self, ip: IpAddr, minutes_ago: i64) -> Observation {
        let mut host = Host::default();
        host.facts.text(HostAttribute::Name, self.name.split('.').next().unwrap_or(""));
        host.interfaces.push(nic(None, Some(self.mac), &[ip]));
        let mut observation = seen("dhcp", Authority::Lease, "lease", host);
        observation.at -= SignedDuration::from_mins(minutes_ago);
        observation
    }

    fn pointer(&self) -> Observation {
        let mut host = Host::default();
        host.facts.text(HostAttribute::DnsName, &self.name);
        host.interfaces.push(nic(None, None, &[self.ip]));
        seen("dns", Authority::Directory, "PTR record", host)
    }

    /// What a program on it says: its board's numbers, and every port that it sees.
    fn agent(&self) -> Observation {
        let mut host = Host { form: Some(Form::Device), ..Host::default() };
        host.facts.text(HostAttribute::Name, &self.name);
        host.facts.text(HostAttribute::Manufacturer, "Dell Inc.");
        host.facts.text(HostAttribute::Serial, &self.serial);
        host.facts.text(HostAttribute::Uuid, &self.uuid);
        host.interfaces.push(nic(Some("eth0"), Some(self.mac), &[self.ip]));
        host.interfaces.push(nic(Some("docker0"), Some(MacAddr([0x02, 0x42, 1, 2, 3, 4])), &[]));
        if let Some(dock) = self.shared {
            host.interfaces.push(nic(Some("dock0"), Some(dock), &[]));
        }
        seen("agents", Authority::Own, "its own word", host)
    }

    /// What the switch knows of who is behind its port.
    fn port(&self, dice: &mut Dice) -> Observation {
        let mut host = Host::default();
        host.facts.text(HostAttribute::Location, format!("Building {}", dice.roll() % 30));
        host.interfaces.push(nic(None, Some(self.mac), &[]));
        seen("switches", Authority::Controller, "forwarding table", host)
    }

    fn configuration(&self) -> Observation {
        let (form, kind) = match self.sort {
            Sort::Guest => (Form::VirtualMachine, "qemu"),
            _ => (Form::Container, "lxc"),
        };
        let mut host = Host { key: Some(self.key(kind)), form: Some(form), ..Host::default() };
        host.facts.text(HostAttribute::Name, self.name.split('.').next().unwrap_or(""));
        host.facts.int(HostAttribute::Memory, 2_048);
        if self.sort == Sort::Guest {
            host.facts.text(HostAttribute::Uuid, &self.uuid);
        }
        host.interfaces.push(nic(Some("net0"), Some(self.mac), &[]));
        seen("pve", Authority::Hypervisor, "guest configuration", host)
    }

    fn inside(&self) -> Observation {
        let mut host = Host { key: Some(self.key("qemu")), ..Host::default() };
        host.facts.text(HostAttribute::DnsName, &self.name);
        host.interfaces.push(nic(Some("ens18"), Some(self.mac), &[self.ip]));
        seen("pve", Authority::Own, "guest agent", host)
    }

    fn key(&self, kind: &str) -> NativeKey {
        NativeKey::new("pve", format_args!("campus/{kind}/{}", 100 + self.number))
    }

    fn entry(&self, which: &str) -> Observation {
        let mut host = Host::default();
        host.aliases.insert(NativeKey::new("hass", format_args!("campus/{which}-{}", self.number)));
        host.facts.text(HostAttribute::Name, format!("{which} {}", self.number % 50));
        host.facts.text(HostAttribute::Manufacturer, "Shelly");
        host.interfaces.push(nic(None, Some(self.mac), &[]));
        seen("ha", Authority::Controller, "device registry", host)
    }
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number + 1))
}

fn nic(name: Option<&str>, mac: Option<MacAddr>, addresses: &[IpAddr]) -> Interface {
    Interface {
        name: name.map(Into::into),
        mac,
        addresses: addresses.iter().map(|ip| Address::bare(*ip)).collect(),
        ..Interface::default()
    }
}

fn seen(source: &str, authority: Authority, evidence: &str, host: Host) -> Observation {
    Observation {
        source: source.parse::<SourceName>().expect("a plain name"),
        at: Timestamp::from_second(1_790_000_000).expect("a time of this century"),
        authority,
        evidence: evidence.into(),
        segment: Segment::default(),
        thing: Thing::Host(Box::new(host)),
    }
}
