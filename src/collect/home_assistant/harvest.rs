//! Turns what was told into observations: one for each way in which Home Assistant knows
//! something, so that a person's word is a person's and a guess is a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::clients::{Clients, Sighting, Way};
use super::gather::{Gap, Told};
use super::machine::Machine;
use super::make::{figures, firmware, model, role};
use super::places::Places;
use super::registry::{Entry, Registry, Standing, Thing};
use super::{Include, addresses};
use crate::collect::{Assignment, Harvest};
use crate::domain::coverage::{Coverage, Scope};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::mac::MacAddr;
use crate::domain::makers;
use crate::domain::name::visible;
use crate::domain::observation::{
    Address, Authority, Host, HostAttribute, Interface, NativeKey, Observation, Protocol, Service,
    Thing as Subject,
};

/// What steers the translation.
#[derive(Debug)]
pub(super) struct Wishes<'a> {
    pub include: &'a BTreeSet<Include>,
    /// The name in Home Assistant's URL, where it is one.
    pub host_name: Option<&'a str>,
    /// The port in Home Assistant's URL.
    pub port: Option<u16>,
}

/// Everything that was told, as observations, with the account of what is missing.
pub(super) fn harvest(told: &Told, wishes: &Wishes<'_>, assignment: &Assignment) -> Harvest {
    let none = Vec::new();
    let mut registry = Registry::new(
        told.devices.as_ref().unwrap_or(&none),
        told.entities.as_deref().unwrap_or_default(),
        &told.config_entries,
        wishes.include,
    );
    let states = told.states.as_deref().unwrap_or_default();
    let clients = Clients::new(states, &told.leases);
    let machine = Machine::new(told, wishes.port);
    let urls = addresses::settle(&mut registry, &clients, &machine.addresses);
    let mut desk = Desk {
        assignment,
        wishes,
        places: Places::new(&told.areas, &told.floors, &told.labels),
        shared: shared_serials(&registry),
        figures: figures(states),
        registry,
        clients,
        harvest: Harvest::default(),
    };
    desk.itself(told, &machine);
    for (place, urls) in urls.iter().enumerate() {
        desk.thing(place, urls);
    }
    desk.strangers();
    desk.account(told);
    desk.harvest
}

/// Serial numbers that several devices give: the one of a hub that its parts repeat.
fn shared_serials(registry: &Registry<'_>) -> BTreeSet<(String, String)> {
    let mut bearers: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    for (place, thing) in registry.things.iter().enumerate() {
        for entry in &thing.entries {
            if let Some(serial) = serial(entry) {
                bearers.entry(serial).or_default().insert(place);
            }
        }
    }
    bearers.into_iter().filter(|(_, bearers)| bearers.len() > 1).map(|(serial, _)| serial).collect()
}

fn serial(entry: &Entry<'_>) -> Option<(String, String)> {
    let maker = entry.device.manufacturer.get().unwrap_or_default();
    Some((maker.to_owned(), entry.device.serial_number.get()?.to_owned()))
}

/// An interface that is known by its MAC address.
fn station(mac: MacAddr, addresses: impl IntoIterator<Item = IpAddr>) -> Interface {
    Interface {
        mac: Some(mac),
        addresses: addresses.into_iter().map(Address::bare).collect(),
        ..Interface::default()
    }
}

struct Desk<'a> {
    assignment: &'a Assignment,
    wishes: &'a Wishes<'a>,
    places: Places<'a>,
    shared: BTreeSet<(String, String)>,
    figures: BTreeSet<&'a str>,
    registry: Registry<'a>,
    clients: Clients,
    harvest: Harvest,
}

impl Desk<'_> {
    fn say(&mut self, authority: Authority, evidence: impl Into<Arc<str>>, host: Host) {
        self.harvest.observations.push(Observation {
            source: self.assignment.source.clone(),
            at: self.assignment.started,
            authority,
            evidence: evidence.into(),
            segment: self.assignment.segment.clone(),
            thing: Subject::Host(Box::new(host)),
        });
    }

    fn key(&self, path: &str) -> NativeKey {
        NativeKey::new("hass", format_args!("{}{path}", self.assignment.source))
    }

    fn client_key(&self, mac: MacAddr) -> NativeKey {
        self.key(&format!("/client/{mac}"))
    }

    /// The keys of a device: those of all its entries. A client that has an entry in one
    /// version of Home Assistant and none in another is known by its MAC address.
    fn keys(&self, thing: &Thing<'_>) -> BTreeSet<NativeKey> {
        if thing.standing == Standing::Client {
            let macs = thing.entries.iter().flat_map(|entry| &entry.macs);
            return macs.map(|mac| self.client_key(*mac)).collect();
        }
        thing.entries.iter().map(|entry| self.key(&format!("/{}", entry.id))).collect()
    }

    fn counts(&self, standing: Standing) -> bool {
        match standing {
            Standing::Network => true,
            Standing::Radio(radio) => self.wishes.include.contains(&radio),
            Standing::Client => self.wishes.include.contains(&Include::Trackers),
            Standing::None => false,
        }
    }

    /// Home Assistant's own machine.
    fn itself(&mut self, told: &Told, machine: &Machine) {
        let key = || BTreeSet::from([self.key("")]);
        let mut own = Host { aliases: key(), form: machine.form, ..Host::default() };
        own.interfaces.clone_from(&machine.interfaces);
        let host = told.host.clone().unwrap_or_default();
        own.facts.text(HostAttribute::Name, host.hostname.get().unwrap_or_default());
        let system = host.operating_system.get().unwrap_or_default();
        own.facts.text(HostAttribute::Platform, without_version(system));
        if machine.reached
            && let Some(port) = self.wishes.port
        {
            own.services.push(Service {
                name: "Home Assistant".into(),
                protocol: Protocol::Tcp,
                ports: [port].into(),
                description: None,
            });
        }
        let mut known = Host { aliases: key(), ..Host::default() };
        let version = told.config.version.get().unwrap_or_default();
        known.facts.text(HostAttribute::Name, "Home Assistant");
        known.facts.text(HostAttribute::Description, format!("Home Assistant {version}"));
        if !machine.is_virtual() {
            known.facts.text(HostAttribute::Role, "Home automation");
        }
        let mut named = Host { aliases: key(), ..Host::default() };
        if let Some(name) = self.wishes.host_name.filter(|_| machine.reached) {
            named.facts.text(HostAttribute::Name, name.split('.').next().unwrap_or(name));
        }
        let authority = if machine.certain { Authority::Own } else { Authority::Configuration };
        if !own.interfaces.is_empty() || !own.facts.is_empty() || own.form.is_some() {
            self.say(authority, machine.evidence, own);
        }
        if !named.facts.is_empty() {
            self.say(Authority::Configuration, "the name in its URL", named);
        }
        self.say(Authority::Derived, "it answers as Home Assistant", known);
    }

    /// A device of the registry.
    fn thing(&mut self, place: usize, urls: &BTreeSet<IpAddr>) {
        let thing = self.registry.things[place].clone();
        let wanted = self.counts(thing.standing);
        if !wanted && thing.standing != Standing::Client {
            return;
        }
        let base = Host { aliases: self.keys(&thing), hint: !wanted, ..Host::default() };
        let mut stated: BTreeSet<HostAttribute> = BTreeSet::new();
        for (number, entry) in thing.entries.iter().enumerate() {
            let mut host = base.clone();
            host.interfaces.extend(entry.macs.iter().map(|mac| station(*mac, [])));
            self.facts(place, &thing, entry, &mut host);
            // What the first entry says another of the same device does not gainsay.
            let facts = std::mem::take(&mut host.facts).into_iter();
            host.facts = facts.filter(|(attribute, _)| !stated.contains(attribute)).collect();
            stated.extend(host.facts.iter().map(|(attribute, _)| *attribute));
            let evidence = match number {
                0 => "device registry".to_owned(),
                _ => format!("device registry, another entry ({})", domains(entry)),
            };
            // What a router calls its clients it has from their leases.
            let authority = match thing.standing {
                Standing::Client => Authority::Lease,
                _ => Authority::Controller,
            };
            if number == 0 || !host.facts.is_empty() {
                self.say(authority, evidence, host);
            }
        }
        self.by_hand(&thing, &base);
        if thing.standing != Standing::Client {
            self.role(&thing, &base);
        }
        self.sightings(&thing, &base);
        self.urls(&thing, &base, urls);
    }

    /// What an entry of the registry says.
    fn facts(&self, place: usize, thing: &Thing<'_>, entry: &Entry<'_>, host: &mut Host) {
        use HostAttribute as A;
        let device = entry.device;
        let mut say = |attribute, text: Option<&str>| {
            host.facts.text(attribute, text.unwrap_or_default());
        };
        say(A::Name, device.name.get());
        let is_client = thing.standing == Standing::Client;
        let maker = device.manufacturer.get().filter(|_| !is_client);
        let make = if is_client { Default::default() } else { model(entry) };
        say(A::Manufacturer, maker);
        say(A::Model, make.name.as_deref());
        say(A::PartNumber, make.part.as_deref());
        let known = maker.map(|maker| makers::canonical(&BTreeMap::new(), maker));
        say(A::Platform, firmware(entry, known.as_deref()).as_deref());
        say(A::Description, described(entry, thing).as_deref());
        say(A::Location, self.places.location(device).as_deref());
        if serial(entry).is_some_and(|serial| !self.shared.contains(&serial)) {
            say(A::Serial, device.serial_number.get());
        }
        let nearest = self.registry.way(place).into_iter().find_map(|place| {
            let thing = &self.registry.things[place];
            self.keys(thing).into_iter().next().filter(|_| self.counts(thing.standing))
        });
        say(A::Parent, nearest.as_ref().map(NativeKey::as_str));
        let tags = self.places.tags(device);
        if !tags.is_empty() {
            host.facts.words(A::Tags, tags);
        }
    }

    /// What a person called it.
    fn by_hand(&mut self, thing: &Thing<'_>, base: &Host) {
        let given = thing.entries.iter().find_map(|entry| entry.device.name_by_user.get());
        if let Some(name) = given {
            let mut host = base.clone();
            host.facts.text(HostAttribute::Name, name);
            self.say(Authority::Person, "name given in Home Assistant", host);
        }
    }

    fn role(&mut self, thing: &Thing<'_>, base: &Host) {
        let (role, evidence) = role(thing, &self.figures);
        let mut host = base.clone();
        host.facts.text(HostAttribute::Role, role);
        let guessed = role == "IoT";
        let authority = if guessed { Authority::Derived } else { Authority::Controller };
        self.say(authority, evidence, host);
    }

    /// Where it is seen on the network.
    fn sightings(&mut self, thing: &Thing<'_>, base: &Host) {
        let macs: BTreeSet<MacAddr> =
            thing.entries.iter().flat_map(|entry| entry.macs.iter().copied()).collect();
        for mac in macs {
            for way in [Way::Tracker, Way::Dhcp] {
                if let Some(sighting) = self.clients.seen.remove(&(mac, way)) {
                    self.sighting(mac, way, &sighting, base.clone());
                }
            }
        }
    }

    fn sighting(&mut self, mac: MacAddr, way: Way, sighting: &Sighting, mut host: Host) {
        host.interfaces.push(station(mac, sighting.addresses.iter().copied()));
        host.facts.text(HostAttribute::Name, sighting.name.as_deref().unwrap_or_default());
        self.say(Authority::Lease, way.evidence(), host);
    }

    /// Where its page is. Which of several interfaces has the address is not told.
    fn urls(&mut self, thing: &Thing<'_>, base: &Host, urls: &BTreeSet<IpAddr>) {
        if urls.is_empty() {
            return;
        }
        let macs: BTreeSet<MacAddr> =
            thing.entries.iter().flat_map(|entry| entry.macs.iter().copied()).collect();
        let only = macs.first().copied().filter(|_| macs.len() == 1);
        let addresses = urls.iter().copied().map(Address::bare).collect();
        let mut host = base.clone();
        host.interfaces.push(Interface { mac: only, addresses, ..Interface::default() });
        self.say(Authority::Configuration, "configuration URL", host);
    }

    /// Clients that no device of the registry is: they add to what other sources know.
    fn strangers(&mut self) {
        let hint = !self.counts(Standing::Client);
        for ((mac, way), sighting) in std::mem::take(&mut self.clients.seen) {
            let aliases = BTreeSet::from([self.client_key(mac)]);
            self.sighting(mac, way, &sighting, Host { aliases, hint, ..Host::default() });
        }
    }

    /// What was seen whole, and what is missing and why.
    fn account(&mut self, told: &Told) {
        let source = &self.assignment.source;
        let mut gaps = told.gaps.clone();
        let mut missing = |why: &str| {
            gaps.push(Gap { what: "the states", why: why.to_owned(), listing: false });
        };
        if told.config.is_recovering() {
            missing("it runs in recovery mode, without its integrations");
        } else if told.config.is_starting() {
            missing("it has not started whole; give the source a longer `restart_wait`");
        }
        let reason = |gap: &Gap| -> Arc<str> { format!("{}: {}", gap.what, gap.why).into() };
        let covers = |path: &str, gap: Option<&Gap>| Coverage {
            source: source.clone(),
            scope: Scope::Keys(format!("hass:{source}{path}").into()),
            method: "listing".into(),
            gap: gap.map(reason),
        };
        let listing = gaps.iter().find(|gap| gap.listing);
        self.harvest.coverage.push(covers("/", listing));
        let trackers = gaps.iter().find(|gap| gap.what == "the states");
        if let Some(gap) = trackers {
            self.harvest.coverage.push(covers("/client/", Some(gap)));
        }
        let about = source.as_str();
        for gap in &gaps {
            let message =
                format!("{} could not be read whole: {}", gap.what, visible(&gap.why, 300));
            self.harvest.diagnostics.push(Diagnostic::warning("part_missing", about, message));
        }
        if !told.denied.is_empty() {
            let message = format!(
                "the token's user is no administrator, so {} could not be asked for; everything else was read",
                told.denied.join(" and ")
            );
            self.harvest.diagnostics.push(Diagnostic::note("needs_administrator", about, message));
        }
        for (maker, number) in &self.shared {
            let (maker, number) = (visible(maker, 60), visible(number, 60));
            let message = format!(
                "several devices of {maker} give the serial number {number}; it is left out"
            );
            self.harvest.diagnostics.push(Diagnostic::note("shared_serial", about, message));
        }
    }
}

fn domains(entry: &Entry<'_>) -> String {
    visible(&entry.domains.iter().copied().collect::<Vec<_>>().join(", "), 60)
}

/// `Home Assistant OS 12.1` without its number.
fn without_version(system: &str) -> String {
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = system.split_whitespace().take_while(|word| !is_version(word)).collect();
    words.join(" ")
}

/// Its firmware's version and its radio's address, for which NetBox has no field.
fn described(entry: &Entry<'_>, thing: &Thing<'_>) -> Option<String> {
    let device = entry.device;
    let mut parts = Vec::new();
    parts.extend(device.sw_version.get().map(|version| format!("firmware {version}")));
    parts.extend(device.hw_version.get().map(|version| format!("hardware {version}")));
    if let Standing::Radio(_) = thing.standing {
        let radios = device.connections.0.iter().filter(|connection| !connection.value.is_empty());
        parts.extend(radios.map(|radio| format!("{} {}", radio.kind, radio.value)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
