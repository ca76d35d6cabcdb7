//! What stands in the file becomes values of the domain: here everything is
//! checked that one key alone cannot tell.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use url::{Host, Url};

use super::environment::{Environment, host_name};
use super::file::{self, File};
use super::layers::Layers;
use super::path::KeyPath;
use super::sources::Sources;
use super::text::{Label, LimitText, List, Text};
use super::{Log, Settings};
use crate::domain::identity::Identifier;
use crate::domain::name::SourceName;
use crate::domain::observation::{Authority, Segment};
use crate::domain::rules::{Conditions, Placement, Rule, Rules};
use crate::domain::settings::{
    Absence, Bind, Defaults, Guard, Ownership, Policy, Ranking, Witness,
};
use crate::http::{Options, Trust};
use crate::netbox::Connection;
use crate::secret::{ExposeSecret, Places};
use crate::suggest::did_you_mean;

/// All settings, or nothing where complaints tell why not.
pub(super) fn settings(layers: &mut Layers, environment: &Environment) -> Option<Settings> {
    let file = layers.sections();
    let credentials = environment.credentials();
    let sources = Sources::read(layers, file.agent.deadline.0, credentials.as_deref());
    let netbox = match &file.netbox {
        None => Some(None),
        Some(section) => netbox(section, credentials, layers).map(Some),
    };
    let policy = policy(&file, &sources.names, layers);
    let asked: BTreeSet<&SourceName> = sources.asked.iter().map(|source| &source.name).collect();
    let disabled = sources.names.iter().filter(|name| !asked.contains(name)).cloned().collect();
    Some(Settings {
        path: None,
        state_dir: file.agent.state_dir.unwrap_or_else(|| environment.state_dir()),
        concurrency: file.agent.concurrency.get(),
        netbox: netbox?,
        policy,
        disabled,
        sources: sources.asked,
        log: Log { level: file.log.level, format: file.log.format },
        warnings: Vec::new(),
    })
}

fn label(text: &Text<Label>) -> Arc<str> {
    Arc::clone(&text.0.0)
}

fn labels(list: &List<Text<Label>>) -> BTreeSet<Arc<str>> {
    list.0.iter().map(label).collect()
}

fn netbox(
    section: &file::NetBox,
    credentials: Option<PathBuf>,
    layers: &mut Layers,
) -> Option<Connection> {
    let path = KeyPath::root("netbox");
    let url = section.url.as_ref().map(|url| url.0.0.clone());
    if url.is_none() {
        layers.miss(
            &path.key("url"),
            "[netbox] has no `url`: set it to where NetBox is, such as https://netbox.example.org",
        );
    }
    let url = url.and_then(|url| match base(&url) {
        Ok(url) => Some(url),
        Err(message) => {
            layers.complain(&path.key("url"), message);
            None
        }
    });
    let trust = Trust::choose(section.ca_file.as_deref(), section.fingerprint, section.verify_tls);
    let trust = trust.map_err(|problem| layers.complain(&path.key(problem.key), problem.message));
    let token = token(section, credentials, layers);
    let (url, token) = (url?, token?);
    if url.scheme() == "http" && !is_local(&url) {
        layers
            .warnings
            .push(format!("[netbox] url = \"{url}\": the token is sent unencrypted; use https"));
    }
    Some(Connection {
        url,
        token,
        http: Options {
            trust: trust.ok()?,
            timeout: section.timeout.0,
            rate: Some(section.requests_per_second),
            concurrency: section.concurrency,
            ..Options::default()
        },
        batch_size: section.batch_size.get(),
    })
}

fn token(
    section: &file::NetBox,
    credentials: Option<PathBuf>,
    layers: &mut Layers,
) -> Option<secrecy::SecretString> {
    let path = KeyPath::root("netbox");
    let places = Places {
        text: section.token.clone(),
        file: section.token_file.clone(),
        command: section.token_command.clone(),
    };
    let key = match (&section.token_file, &section.token_command) {
        (Some(_), _) => "token_file",
        (None, Some(_)) => "token_command",
        (None, None) => "token",
    };
    match places.resolve("token", credentials.as_deref(), "netbox.token") {
        Ok(Some(token)) if token.expose_secret().chars().all(|c| c.is_ascii_graphic()) => {
            Some(token)
        }
        Ok(Some(_)) => {
            let message = "the token holds blanks or other characters that no token has; was it copied whole, and nothing else?";
            layers.complain(&path.key(key), message);
            None
        }
        Ok(None) => {
            layers.miss(
                &path.key("token"),
                "[netbox] has no token: set `token_file`, `token_command` or `token`",
            );
            None
        }
        Err(error) => {
            layers.complain(&path.key(key), error.to_string());
            None
        }
    }
}

/// The root of NetBox: without what people copy along from an address bar.
fn base(url: &Url) -> Result<Url, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address with a user or a password is not supported: NetBox wants a token"
            .to_owned());
    }
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    let path = base.path().trim_end_matches('/');
    let path = path.strip_suffix("/api").unwrap_or(path).to_owned();
    base.set_path(&format!("{path}/"));
    Ok(base)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn policy(file: &File, names: &BTreeSet<SourceName>, layers: &mut Layers) -> Policy {
    let limit = |LimitText(limit)| limit;
    Policy {
        instance: file.agent.name.as_ref().map_or_else(host_name, |name| name.0.clone()),
        tag: label(&file.agent.tag),
        tag_parts: file.agent.tag_parts,
        defaults: defaults(&file.defaults),
        rules: rules(&file.rule, names, layers),
        manufacturers: file
            .manufacturers
            .iter()
            .map(|(name, others)| (name.as_str().into(), labels(others)))
            .collect(),
        ownership: Ownership {
            policy: file.ownership.policy.0,
            fields: file.ownership.fields.0.clone(),
        },
        absence: Absence {
            grace_runs: file.absence.grace_runs.get(),
            grace_time: file.absence.grace_time.0,
            delete: file.absence.delete.0,
            delete_grace_runs: file.absence.delete_grace_runs.get(),
            delete_grace_time: file.absence.delete_grace_time.0,
        },
        guard: Guard {
            max_creates: limit(file.guard.max_creates),
            max_retires: limit(file.guard.max_retires),
            max_deletes: limit(file.guard.max_deletes),
            max_moves: limit(file.guard.max_moves),
            max_vanished: limit(file.guard.max_vanished),
        },
        ranking: ranking(&file.ranking, names, layers),
        binds: binds(&file.bind, layers),
    }
}

fn defaults(section: &file::Defaults) -> Defaults {
    let optional = |text: &Option<Text<Label>>| text.as_ref().map(label);
    Defaults {
        site: label(&section.site),
        location: optional(&section.location),
        tenant: optional(&section.tenant),
        vrf: optional(&section.vrf),
        vlan_group: optional(&section.vlan_group),
        role: label(&section.role),
        vm_role: label(&section.vm_role),
        container_role: label(&section.container_role),
        manufacturer: label(&section.manufacturer),
        model: label(&section.model),
        tags: labels(&section.tags),
        seen_with_mac: section.seen_with_mac.0,
        seen_without_mac: section.seen_without_mac.0,
    }
}

fn rules(sections: &[file::Rule], names: &BTreeSet<SourceName>, layers: &mut Layers) -> Rules {
    let root = KeyPath::root("rule");
    let mut rules = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let path = root.index(index);
        for (number, Text(source)) in section.conditions.source.0.iter().enumerate() {
            if !names.contains(source) {
                let tip = did_you_mean(source.as_str(), names.iter().map(SourceName::as_str));
                let path = path.key("match").key("source").index(number);
                layers.complain(&path, format!("no source is called `{source}`{tip}"));
            }
        }
        let rule = Rule {
            name: section.name.as_ref().map_or_else(|| format!("rule {}", index + 1).into(), label),
            when: conditions(&section.conditions),
            set: placement(&section.set),
        };
        if rule.set == Placement::default() {
            layers.miss(
                &path.key("set"),
                "this rule sets nothing; give it `set.…` keys or remove it",
            );
        }
        rules.push(rule);
    }
    Rules(rules)
}

fn conditions(section: &file::Conditions) -> Conditions {
    fn texts<T: Clone, C: FromIterator<T>>(list: &List<Text<T>>) -> C {
        list.0.iter().map(|text| text.0.clone()).collect()
    }
    Conditions {
        kinds: section.kind.0.iter().map(|word| word.0).collect(),
        sources: texts(&section.source),
        subnets: section.subnet.0.iter().map(|text| text.0.0).collect(),
        segments: section.segment.0.iter().map(|name| Segment::named(name)).collect(),
        names: texts(&section.name),
        macs: texts(&section.mac),
        vendors: texts(&section.vendor),
        clusters: texts(&section.cluster),
        locations: texts(&section.location),
        tags: texts(&section.tag),
    }
}

fn placement(section: &file::Placement) -> Placement {
    let optional = |text: &Option<Text<Label>>| text.as_ref().map(label);
    Placement {
        site: optional(&section.site),
        location: optional(&section.location),
        tenant: optional(&section.tenant),
        vrf: optional(&section.vrf),
        role: optional(&section.role),
        keep: section.keep.map(|word| word.0),
        tags: labels(&section.tags),
    }
}

fn ranking(
    section: &super::tables::Ranking,
    names: &BTreeSet<SourceName>,
    layers: &mut Layers,
) -> Ranking {
    let root = KeyPath::root("ranking");
    let mut witnesses = |list: &List<String>, path: KeyPath| {
        let mut found = Vec::new();
        for (index, word) in list.0.iter().enumerate() {
            match witness(word, names) {
                Ok(witness) if found.contains(&witness) => {
                    layers.complain(&path.index(index), format!("`{word}` is listed twice"));
                }
                Ok(witness) => found.push(witness),
                Err(message) => layers.complain(&path.index(index), message),
            }
        }
        found
    };
    Ranking {
        host: section
            .host
            .iter()
            .map(|(key, list)| (*key, witnesses(list, root.key(key.as_str()))))
            .collect(),
        interface: section
            .interface
            .iter()
            .map(|(key, list)| (*key, witnesses(list, root.key("interface").key(key.as_str()))))
            .collect(),
    }
}

fn witness(word: &str, names: &BTreeSet<SourceName>) -> Result<Witness, String> {
    if let Ok(position) = word.parse::<Authority>() {
        return Ok(Witness::Position(position));
    }
    if let Some(name) = names.iter().find(|name| name.as_str() == word) {
        return Ok(Witness::Source(name.clone()));
    }
    let positions = Authority::ALL.iter().map(|position| position.as_str());
    let known = positions.clone().chain(names.iter().map(SourceName::as_str));
    let shown = crate::domain::name::visible(word, 60);
    let tip = match did_you_mean(word, known) {
        none if none.is_empty() => {
            format!("; positions are {}", positions.collect::<Vec<_>>().join(", "))
        }
        tip => tip,
    };
    Err(format!("`{shown}` is neither a position nor the name of a source{tip}"))
}

fn binds(sections: &[file::Bind], layers: &mut Layers) -> Vec<Bind> {
    let root = KeyPath::root("bind");
    let mut binds = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let identifiers =
            |list: &List<Text<Identifier>>| list.0.iter().map(|text| text.0.clone()).collect();
        let names = || section.alias.0.iter().map(|name| name.0.0.to_lowercase().into()).collect();
        let given = [section.join.0.len(), section.split.0.len(), section.alias.0.len()];
        let path = root.index(index);
        match given.as_slice() {
            [join, 0, 0] if *join > 1 => binds.push(Bind::Join(identifiers(&section.join))),
            // One alone names nothing.
            [0, split, 0] if *split > 0 => binds.push(Bind::Split(identifiers(&section.split))),
            [0, 0, alias] if *alias > 1 => binds.push(Bind::Alias(names())),
            given if given.iter().sum::<usize>() == 1 => {
                layers.miss(&path, "this needs at least two entries to say anything");
            }
            _ => layers.miss(&path, "this needs exactly one of `join`, `split` and `alias`"),
        }
    }
    binds
}
