//! Asks for everything that is of use, the most important first, and keeps account of
//! what could not be had and why.

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;

use super::answers::{
    Area, Config, ConfigEntry, Device, Entity, Entries, Floor, HostInfo, HostNetwork, Label, Lease,
    Leases, Network, State, entries,
};
use super::session::{Command, End, Missing, Session};

/// Everything that was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The address at which Home Assistant was reached.
    pub peer: Option<IpAddr>,
    /// What it says of itself.
    pub config: Config,
    /// None where they could not be had.
    pub devices: Option<Vec<Device>>,
    /// None where they could not be had.
    pub entities: Option<Vec<Entity>>,
    pub config_entries: Vec<ConfigEntry>,
    pub areas: Vec<Area>,
    pub floors: Vec<Floor>,
    pub labels: Vec<Label>,
    /// None where they could not be had.
    pub states: Option<Vec<State>>,
    pub network: Option<Network>,
    pub host_network: Option<HostNetwork>,
    pub host: Option<HostInfo>,
    pub leases: Vec<Lease>,
    /// What could not be had, though it should be there.
    pub gaps: Vec<Gap>,
    /// What the token's user may not ask.
    pub denied: Vec<&'static str>,
}

/// Something that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// What.
    pub what: &'static str,
    /// Why, in words that fit after "because".
    pub why: String,
    /// Whether which devices there are depends on it.
    pub listing: bool,
}

/// Asks everything. What was told until the conversation ended is kept.
///
/// # Errors
/// When there is nothing to keep, or the token was refused.
pub(super) async fn gather(session: &mut Session<'_>) -> Result<Told, End> {
    let mut desk = Desk { session, told: Told::default(), over: None };
    desk.registries().await;
    desk.machine().await;
    let Desk { mut told, over, .. } = desk;
    match over {
        Some(end @ End::Refused(_)) => return Err(end),
        Some(end) if told.devices.is_none() => return Err(end),
        _ => {}
    }
    told.peer = session.peer;
    told.config = session.config.take().unwrap_or_default();
    Ok(told)
}

/// What the list of devices is called where it is missing.
pub(super) const DEVICES: &str = "the device registry";

struct Desk<'s, 'a> {
    session: &'s mut Session<'a>,
    told: Told,
    /// Why no more can be asked.
    over: Option<End>,
}

impl Desk<'_, '_> {
    /// What any user may ask.
    async fn registries(&mut self) {
        self.told.devices = self.list("config/device_registry/list", DEVICES).await;
        self.told.entities = self.list("config/entity_registry/list", "the entity registry").await;
        let entries = self.list("config_entries/get", "the list of integrations").await;
        self.told.config_entries = entries.unwrap_or_default();
        let areas = self.list("config/area_registry/list", "the areas").await;
        self.told.areas = areas.unwrap_or_default();
        // Floors and labels came with 2024.4.
        self.told.floors = self.newer("config/floor_registry/list", "the floors").await;
        self.told.labels = self.newer("config/label_registry/list", "the labels").await;
        self.told.states = self.list("get_states", "the states").await;
    }

    /// What only administrators may ask, and only where it exists.
    async fn machine(&mut self) {
        if self.has("network") {
            let command = Command::plain("network");
            self.told.network = self.one(&command, "the addresses of its own machine").await;
        }
        if self.has("hassio") {
            let network = supervisor("/network/info");
            self.told.host_network = self.one(&network, "the interfaces of its own machine").await;
            let host = supervisor("/host/info");
            self.told.host = self.one(&host, "what the Supervisor knows of its machine").await;
        }
        if self.has("dhcp") {
            let command = Command { in_event: true, ..Command::plain("dhcp/subscribe_discovery") };
            let leases: Option<Leases> = self.one(&command, "what it saw of DHCP").await;
            self.told.leases = leases.unwrap_or_default().add.0;
        }
    }

    fn has(&self, component: &str) -> bool {
        self.session.config.as_ref().is_some_and(|config| config.has(component))
    }

    async fn ask(&mut self, command: &Command) -> Result<Box<RawValue>, Missing> {
        if let Some(end) = &self.over {
            return Err(Missing::Failed(end.reason()));
        }
        match self.session.ask(command).await {
            Ok(answer) => answer,
            Err(end) => {
                let reason = end.reason();
                self.over = Some(end);
                Err(Missing::Failed(reason))
            }
        }
    }

    /// A list that every version has.
    async fn list<T: DeserializeOwned>(
        &mut self,
        command: &'static str,
        what: &'static str,
    ) -> Option<Vec<T>> {
        let listing = what == DEVICES || command == "config/entity_registry/list";
        let answer = self.ask(&Command::plain(command)).await;
        let read = answer.and_then(|raw| entries::<T>(&raw).map_err(Missing::Failed));
        let mut gap = |why: String| self.told.gaps.push(Gap { what, why, listing });
        match read {
            Ok(Entries { read, unreadable: 0 }) => Some(read),
            Ok(Entries { read, unreadable }) => {
                gap(format!("{unreadable} of its entries cannot be read"));
                Some(read)
            }
            Err(Missing::Unauthorized) => {
                gap("the token's user may not read it".to_owned());
                None
            }
            Err(Missing::Unknown) => {
                gap("this Home Assistant does not know the question; is it newer than 2023?"
                    .to_owned());
                None
            }
            Err(Missing::Failed(why)) => {
                gap(why);
                None
            }
        }
    }

    /// A list that older versions do not have.
    async fn newer<T: DeserializeOwned>(
        &mut self,
        command: &'static str,
        what: &'static str,
    ) -> Vec<T> {
        let answer = self.ask(&Command::plain(command)).await;
        match answer.and_then(|raw| entries::<T>(&raw).map_err(Missing::Failed)) {
            Ok(entries) => entries.read,
            Err(Missing::Failed(why)) => {
                self.told.gaps.push(Gap { what, why, listing: false });
                Vec::new()
            }
            Err(Missing::Unknown | Missing::Unauthorized) => Vec::new(),
        }
    }

    /// One answer that may be for administrators alone.
    async fn one<T: DeserializeOwned>(
        &mut self,
        command: &Command,
        what: &'static str,
    ) -> Option<T> {
        let unreadable = |_| Missing::Failed("its answer cannot be read".to_owned());
        let answer = self.ask(command).await;
        match answer.and_then(|raw| serde_json::from_str(raw.get()).map_err(unreadable)) {
            Ok(read) => Some(read),
            Err(Missing::Unauthorized) => {
                self.told.denied.push(what);
                None
            }
            Err(Missing::Unknown) => None,
            Err(Missing::Failed(why)) => {
                self.told.gaps.push(Gap { what, why, listing: false });
                None
            }
        }
    }
}

fn supervisor(endpoint: &str) -> Command {
    let mut command = Command::plain("supervisor/api");
    command.arguments.insert("endpoint".to_owned(), endpoint.into());
    command.arguments.insert("method".to_owned(), json!("get"));
    command
}
