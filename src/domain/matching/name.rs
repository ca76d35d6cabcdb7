//! The last and weakest steps: the name where nothing contradicts it, and doubt
//! where an object that nothing identifies stands at a host's address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::desire::subject;
use super::super::identity::{Identifier, name_key};
use super::super::inventory::MergedHost;
use super::super::makers;
use super::super::name::{DnsName, is_generic};
use super::super::object::{Field, Kind};
use super::super::observation::HostAttribute;
use super::super::settings::Bind;
use super::{
    Contradiction, Found, Ground, HostObject, MatchedBy, Matches, contradiction, is_unreachable,
    settle,
};

/// Every name that sources have for a host, and its aliases by a person's rules.
pub(super) fn names_of(ground: &Ground<'_>, host: &MergedHost) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = [HostAttribute::Name, HostAttribute::DnsName]
        .into_iter()
        .filter_map(|attribute| host.facts.get(&attribute))
        .flat_map(|fact| fact.claims())
        .filter_map(|claim| claim.value.as_text())
        .map(|name| name.trim().to_lowercase())
        .collect();
    for bind in &ground.policy.binds {
        if let Bind::Alias(aliases) = bind
            && aliases.iter().any(|alias| names.contains(&**alias))
        {
            names.extend(aliases.iter().map(|alias| alias.to_string()));
        }
    }
    names
}

/// The names by which a host may be found: the one that won, with and without its
/// domain, and a person's aliases of it.
fn search_names(ground: &Ground<'_>, host: &MergedHost) -> SearchNames {
    let mut names = BTreeSet::new();
    let mut qualified = false;
    for attribute in [HostAttribute::Name, HostAttribute::DnsName] {
        if let Some(name) = host.text(attribute) {
            names.insert(name.trim().to_lowercase());
            if let Ok(dns) = name.parse::<DnsName>() {
                qualified |= dns.is_qualified();
                names.insert(name_key(name).to_string());
            }
        }
    }
    for bind in &ground.policy.binds {
        if let Bind::Alias(aliases) = bind
            && aliases.iter().any(|alias| names.contains(&**alias))
        {
            names.extend(aliases.iter().map(|alias| alias.to_string()));
        }
    }
    names.retain(|name| !is_generic(name));
    SearchNames { names, qualified }
}

struct SearchNames {
    names: BTreeSet<String>,
    /// Whether a source tells the domain: then `www.a.example` is not `www.b.example`.
    qualified: bool,
}

/// Objects that bear a name of a host, each with that name.
fn bearers<'a>(
    ground: &Ground<'_>,
    names: &'a SearchNames,
    claimed: &BTreeSet<HostObject>,
) -> BTreeMap<HostObject, &'a String> {
    let mut found: BTreeMap<HostObject, &String> = BTreeMap::new();
    for name in &names.names {
        let mut standings = ground.index.by_name(name);
        if !names.qualified {
            standings.extend(ground.index.by_label(name));
        }
        for standing in standings.difference(claimed) {
            found.entry(*standing).or_insert(name);
        }
    }
    found
}

/// Those of several objects that bear a name of a host.
pub(super) fn bearing_a_name_of(
    ground: &Ground<'_>,
    host: &MergedHost,
    among: &BTreeSet<HostObject>,
) -> BTreeSet<HostObject> {
    let names = search_names(ground, host);
    let bearers = bearers(ground, &names, &BTreeSet::new());
    among.iter().copied().filter(|standing| bearers.contains_key(standing)).collect()
}

/// Matches by name what is still open. Where several hosts could be one object by their
/// name, none of them is it, and a person is told.
pub(super) fn by_name(ground: &Ground<'_>, matches: &mut Matches) {
    let mut sharing: BTreeMap<String, usize> = BTreeMap::new();
    for (place, host) in ground.inventory.hosts.iter().enumerate() {
        if !matches.hosts.contains_key(&place) && host.held.is_none() {
            for name in search_names(ground, host).names {
                *sharing.entry(name).or_default() += 1;
            }
        }
    }
    let claimed = super::claimed(matches);
    settle(ground, matches, |host| {
        if host.held.is_some() {
            return Found::Nothing;
        }
        let names = search_names(ground, host);
        let found = bearers(ground, &names, &claimed);
        let near = near(ground, host, found.keys().copied().collect());
        let Some(&standing) = near.first() else { return Found::Nothing };
        let name: Arc<str> = found.get(&standing).map_or("", |name| name.as_str()).into();
        if near.len() > 1 {
            return Found::Several(near, MatchedBy::Name(name));
        }
        match judge(ground, host, standing, name.clone()) {
            // What speaks against it is reason enough where others bear the name as well.
            Found::Doubt(..) if sharing.get(&*name).is_some_and(|bearers| *bearers > 1) => {
                Found::Nothing
            }
            found => found,
        }
    });
}

/// Of several objects with a name, those of the host's own kind, cluster or site. An
/// object at another site than the one where the host is known to stand is another thing.
fn near(
    ground: &Ground<'_>,
    host: &MergedHost,
    found: BTreeSet<HostObject>,
) -> BTreeSet<HostObject> {
    if found.is_empty() {
        return found;
    }
    let stands_at = |site: &str, standing: &HostObject| {
        ground
            .index
            .referenced_name(*standing, Field::Site)
            .is_some_and(|name| name.eq_ignore_ascii_case(site))
    };
    let known_site = site(ground, host);
    let mut near = found;
    if let Some(site) = known_site.as_deref() {
        near.retain(|standing| standing.0 != Kind::Device || stands_at(site, standing));
    }
    let kind = if host.is_virtual() {
        Some(Kind::VirtualMachine)
    } else {
        host.form.map(|_| Kind::Device)
    };
    near = narrowed(near, |standing| kind.is_none_or(|kind| standing.0 == kind));
    if near.len() > 1
        && let Some(cluster) = cluster_name(ground, host)
    {
        near = narrowed(near, |standing| {
            ground.index.referenced_name(*standing, Field::Cluster) == Some(cluster)
        });
    }
    if near.len() > 1 {
        let site = known_site.as_deref().unwrap_or(&ground.policy.defaults.site);
        near = narrowed(near, |standing| stands_at(site, standing));
    }
    if near.len() > 1 {
        // `a_b` and `a-b` may both stand.
        let exact = names_of(ground, host);
        near = narrowed(near, |standing| {
            exact.contains(&ground.index.name(*standing).trim().to_lowercase())
        });
    }
    near
}

/// The site at which a rule or a source says that a host stands.
fn site(ground: &Ground<'_>, host: &MergedHost) -> Option<Arc<str>> {
    let rules = &ground.policy.rules;
    let by_rule = match rules.0.is_empty() {
        true => None,
        false => rules.decide(&subject(ground.inventory, host)).site.map(|site| site.value.clone()),
    };
    by_rule.or_else(|| host.text(HostAttribute::Site).map(Arc::from))
}

/// The set without what fails a test, unless nothing would be left.
fn narrowed(set: BTreeSet<HostObject>, test: impl Fn(&HostObject) -> bool) -> BTreeSet<HostObject> {
    let kept: BTreeSet<HostObject> = set.iter().copied().filter(test).collect();
    if kept.is_empty() { set } else { kept }
}

fn cluster_name<'a>(ground: &'a Ground<'_>, host: &MergedHost) -> Option<&'a str> {
    let key = host.text(HostAttribute::Cluster)?;
    let clusters = &ground.inventory.clusters;
    clusters
        .iter()
        .find(|known| known.cluster.key.as_str() == key)
        .map(|known| &*known.cluster.name)
}

/// Whether an object of the host's name can stand for it.
fn judge(ground: &Ground<'_>, host: &MergedHost, standing: HostObject, name: Arc<str>) -> Found {
    if host.is_virtual() && standing.0 == Kind::Device
        || host.form.is_some() && !host.is_virtual() && standing.0 == Kind::VirtualMachine
    {
        let why = format!("the name {name} leads to another kind of object:");
        return Found::Doubt(standing, "other_kind", why);
    }
    // Guests of another cluster that stand under the same name are other guests. Only what
    // this agent made there may have moved.
    if let (Some(own), Some(known)) =
        (cluster_name(ground, host), ground.index.referenced_name(standing, Field::Cluster))
        && own != known
        && !ground.index.is_own(standing, &ground.policy.instance)
    {
        return Found::Nothing;
    }
    match contradiction(ground, host, standing, false) {
        Some(Contradiction::Other) => return Found::Nothing,
        Some(Contradiction::Unseen(other)) => {
            let why = format!(
                "the name {name} is the same, but it was {other}, which could not be looked for:"
            );
            return Found::Doubt(standing, "unseen_holder", why);
        }
        None => {}
    }
    let known = ground.index.macs(standing);
    let own: BTreeSet<_> = host.macs().collect();
    if !known.is_empty() && !own.is_empty() && known.is_disjoint(&own) {
        if known.iter().any(|mac| ground.present.contains(&Identifier::Mac(*mac).to_string())) {
            return Found::Nothing;
        }
        // Nobody states the MAC addresses that stand. Where their place was looked at, the
        // hardware was exchanged; where it was not, a person has to say.
        let key_gone = ground.index.agent_key(standing).is_some();
        if !key_gone
            && !is_unreachable(ground, standing)
            && !holds_own_address(ground, host, standing)
        {
            let why = format!("the name {name} is the same, the MAC addresses differ:");
            return Found::Doubt(standing, "other_mac", why);
        }
    }
    Found::One(standing, MatchedBy::Name(name))
}

/// Whether the object holds an address of the host.
fn holds_own_address(ground: &Ground<'_>, host: &MergedHost, standing: HostObject) -> bool {
    let known = ground.index.addresses(standing);
    host.interfaces.iter().flat_map(|interface| &interface.addresses).any(|a| known.contains(&a.ip))
}

/// Objects that nothing identifies but an address: a person made them by hand. Where
/// the maker agrees as well, it is the host; else making another would perhaps be a
/// duplicate, and taking it perhaps wrong.
pub(super) fn by_address(ground: &Ground<'_>, matches: &mut Matches) {
    let claimed = super::claimed(matches);
    settle(ground, matches, |host| {
        if host.held.is_some() {
            return Found::Nothing;
        }
        let mut found: BTreeMap<HostObject, String> = BTreeMap::new();
        for address in host.interfaces.iter().flat_map(|interface| &interface.addresses) {
            for standing in ground.index.by_address(address.ip).difference(&claimed) {
                if ground.index.is_anonymous(*standing) {
                    found.entry(*standing).or_insert_with(|| address.ip.to_string());
                }
            }
        }
        let Some((&standing, ip)) = found.first_key_value() else { return Found::Nothing };
        let address: Arc<str> = ip.as_str().into();
        if found.len() > 1 {
            return Found::Several(found.into_keys().collect(), MatchedBy::Address(address));
        }
        let compared =
            |maker: &str| makers::compared(&makers::canonical(&ground.policy.manufacturers, maker));
        let makers: BTreeSet<String> = host
            .facts
            .get(&HostAttribute::Manufacturer)
            .into_iter()
            .flat_map(|fact| fact.claims())
            .filter_map(|claim| claim.value.as_text())
            .map(compared)
            .filter(|maker| !maker.is_empty())
            .collect();
        let known = ground.index.maker_of(standing).filter(|maker| !maker.is_empty());
        if known.is_some_and(|maker| makers.contains(&compared(&maker))) {
            return Found::One(standing, MatchedBy::Address(address));
        }
        let why =
            format!("the address {address} stands at an object that nothing else identifies:");
        Found::Doubt(standing, "address_only", why)
    });
}
