//! Reads interfaces and other parts of hosts: those of the hosts that a run can touch,
//! where NetBox holds many others, and else simply all.

use std::collections::BTreeSet;

use futures::future::{try_join, try_join_all};

use super::api::Api;
use super::error::NetBoxError;
use super::{lookup, snapshot};
use crate::domain::matching::HostObject;
use crate::domain::object::Kind;
use crate::domain::scope::{PARTS, Scope};
use crate::domain::world::{Live, Need, World};

/// Up to so many hosts all parts are read: few requests, and not many rows.
const FEW: usize = 50;

/// Reads the parts of these kinds on the hosts of the scope at least.
pub(super) async fn read(
    api: &Api,
    kinds: &BTreeSet<Kind>,
    scope: Scope,
    hosts: &World,
) -> Result<World, NetBoxError> {
    let supported = snapshot::supported(api.version);
    let kinds: BTreeSet<Kind> = kinds.intersection(&supported).copied().collect();
    let of_devices = Family::new(api, Kind::Device, "device_id", &kinds);
    let of_guests = Family::new(api, Kind::VirtualMachine, "virtual_machine_id", &kinds);
    let (mut world, more) =
        try_join(of_devices.read(hosts, scope.clone()), of_guests.read(hosts, scope)).await?;
    world.absorb(more);
    // A cable cannot stand where no interface stands.
    if kinds.contains(&Kind::Cable) && world.of(Kind::Interface).next().is_some() {
        world.absorb(snapshot::read(api, &Need { kinds: [Kind::Cable].into() }).await?);
    }
    world.read = kinds;
    Ok(world)
}

/// The parts of one kind of host.
struct Family<'a> {
    api: &'a Api,
    host: Kind,
    /// By what NetBox lists the parts of some hosts.
    filter: &'static str,
    parts: BTreeSet<Kind>,
}

impl<'a> Family<'a> {
    fn new(api: &'a Api, host: Kind, filter: &'static str, kinds: &BTreeSet<Kind>) -> Self {
        let own = PARTS.iter().filter(|(part, of)| *of == host && kinds.contains(part));
        Family { api, host, filter, parts: own.map(|(part, _)| *part).collect() }
    }

    async fn read(&self, hosts: &World, mut scope: Scope) -> Result<World, NetBoxError> {
        let standing: BTreeSet<HostObject> =
            hosts.of(self.host).map(|live| (live.kind, live.id)).collect();
        if standing.is_empty() {
            return Ok(World::default());
        }
        let touched: BTreeSet<HostObject> = standing.intersection(&scope.hosts).copied().collect();
        if standing.len() <= FEW || touched.len() * 2 >= standing.len() {
            return snapshot::read(self.api, &Need { kinds: self.parts.clone() }).await;
        }
        let mut world = World::default();
        for part in self.of_hosts(&touched).await? {
            world.insert(part);
        }
        let others = scope.extend(&self.interfaces(&world, &scope).await?);
        for part in self.of_hosts(&others).await? {
            world.insert(part);
        }
        Ok(world)
    }

    /// Every part of these hosts.
    async fn of_hosts(&self, hosts: &BTreeSet<HostObject>) -> Result<Vec<Live>, NetBoxError> {
        let ids: Vec<String> = hosts.iter().map(|(_, id)| id.to_string()).collect();
        self.all(self.filter, &self.parts, &ids).await
    }

    /// The interfaces of the scope that are not known yet.
    async fn interfaces(&self, known: &World, scope: &Scope) -> Result<Vec<Live>, NetBoxError> {
        let is_interface = |kind: &&Kind| matches!(kind, Kind::Interface | Kind::VmInterface);
        let kinds: BTreeSet<Kind> = self.parts.iter().filter(is_interface).copied().collect();
        let missing: Vec<String> = (scope.interfaces.iter())
            .filter(|(kind, id)| kinds.contains(kind) && known.get(*kind, *id).is_none())
            .map(|(_, id)| id.to_string())
            .collect();
        let mut found = self.all("id", &kinds, &missing).await?;
        if !snapshot::supported(self.api.version).contains(&Kind::MacAddress) {
            let macs: Vec<String> = scope.macs.iter().map(ToString::to_string).collect();
            found.extend(self.all("mac_address", &kinds, &macs).await?);
        }
        Ok(found)
    }

    /// The parts of these kinds that a filter with these values lets through.
    async fn all(
        &self,
        filter: &str,
        kinds: &BTreeSet<Kind>,
        values: &[String],
    ) -> Result<Vec<Live>, NetBoxError> {
        let parts = lookup::parts(filter, values);
        let asked = kinds.iter().flat_map(|kind| parts.iter().map(|values| (*kind, *values)));
        let read = asked.map(|(kind, values)| lookup::matching(self.api, kind, filter, values));
        Ok(try_join_all(read).await?.concat())
    }
}
