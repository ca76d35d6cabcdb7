//! Tokens and what they may do, as Proxmox VE works it out: privileges by path, reaching
//! below where they propagate; a path with an entry of its own has that alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::world::{Pve, Release};
use super::{Refusal, SECRET, TOKEN_ID};

/// What the role PVEAuditor holds; `VM.GuestAgent.Audit` belongs to it since 9.
pub(super) const AUDITOR: [&str; 6] =
    ["Datastore.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit", "VM.GuestAgent.Audit"];

/// Paths for which the server always answers when the token holds anything there.
const ALWAYS: [&str; 7] = ["/", "/access", "/nodes", "/pool", "/sdn", "/storage", "/vms"];

/// An API token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub secret: String,
    /// Privileges by path, and whether they reach below. An empty list is NoAccess.
    pub acl: BTreeMap<String, (BTreeSet<String>, bool)>,
}

impl Token {
    /// A token with PVEAuditor on everything.
    pub(crate) fn auditor() -> Self {
        let mut token = Token { secret: SECRET.to_owned(), acl: BTreeMap::new() };
        token.grant("/", &AUDITOR);
        token
    }

    /// Sets what is held on a path and below it.
    pub(crate) fn grant(&mut self, path: &str, privileges: &[&str]) {
        let privileges = privileges.iter().map(|one| (*one).to_owned()).collect();
        self.acl.insert(path.to_owned(), (privileges, true));
    }

    /// Takes a privilege away wherever it is held.
    pub(crate) fn revoke(&mut self, privilege: &str) {
        for (held, _) in self.acl.values_mut() {
            held.remove(privilege);
        }
    }

    /// What is held on a path, each with whether it reaches below.
    fn held(&self, path: &str) -> BTreeMap<&str, bool> {
        let mut at = path;
        loop {
            if let Some((held, propagate)) = self.acl.get(at) {
                let here = at == path || *propagate;
                return held.iter().filter(|_| here).map(|p| (p.as_str(), *propagate)).collect();
            }
            if at == "/" {
                return BTreeMap::new();
            }
            at = at
                .rsplit_once('/')
                .map(|(parent, _)| parent)
                .filter(|p| !p.is_empty())
                .unwrap_or("/");
        }
    }
}

impl Pve {
    /// The token that a header names: none without a header, an error when it is refused.
    pub(crate) fn token_of(&self, header: Option<&str>) -> Option<Result<&Token, Refusal>> {
        let text = header?.strip_prefix("PVEAPIToken=")?;
        let (id, secret) = text.split_once('=')?;
        Some(match self.tokens.get(id) {
            Some(token) if token.secret == secret => Ok(token),
            Some(_) => Err(Refusal::new(401, "invalid token value!")),
            None => Err(Refusal::new(401, format!("no such token '{id}'"))),
        })
    }

    /// The token that the tests use.
    pub(crate) fn token(&mut self) -> &mut Token {
        self.tokens.get_mut(TOKEN_ID).unwrap()
    }

    /// Whether a token may do one of these things.
    pub(super) fn may(&self, token: &Token, path: &str, privileges: &[&str]) -> bool {
        let held = token.held(path);
        let exists = |one: &str| self.release >= Release::V9_2 || one != "VM.GuestAgent.Audit";
        privileges.iter().any(|one| exists(one) && held.contains_key(one))
    }

    /// Refuses where none of the privileges is held.
    pub(super) fn need(
        &self,
        token: &Token,
        path: &str,
        privileges: &[&str],
    ) -> Result<(), Refusal> {
        if self.may(token, path, privileges) {
            return Ok(());
        }
        let listed = privileges.join("|");
        Err(Refusal::new(403, format!("Permission check failed ({path}, {listed})")))
    }

    /// The answer of `/access/acl`: every entry, but only for those who may audit access.
    pub(super) fn entries(&self, token: &Token) -> Json {
        if !self.may(token, "/access", &["Sys.Audit"]) {
            return Json::Array(Vec::new());
        }
        let entry = |(path, (held, propagate)): (&String, &(BTreeSet<String>, bool))| {
            let role = if held.is_empty() { "NoAccess" } else { "Agent" };
            json!({ "path": path, "type": "token", "ugid": TOKEN_ID, "roleid": role,
                    "propagate": u8::from(*propagate) })
        };
        token.acl.iter().map(entry).collect()
    }

    /// The answer of `/access/permissions`: paths without any privilege are left out.
    pub(super) fn permissions(&self, token: &Token) -> Json {
        let of_pools = self.guests.iter().filter(|(_, guest)| guest.pool.is_some());
        let of_pools = of_pools.map(|(vmid, _)| format!("/vms/{vmid}"));
        let paths: BTreeSet<String> = ALWAYS
            .iter()
            .map(|path| (*path).to_owned())
            .chain(token.acl.keys().cloned())
            .chain(of_pools)
            .collect();
        let mut answer = Map::new();
        for path in paths {
            let held: Map<String, Json> = token
                .held(&path)
                .into_iter()
                .filter(|(one, _)| self.may(token, &path, &[one]))
                .map(|(one, propagate)| (one.to_owned(), Json::from(u8::from(propagate))))
                .collect();
            if !held.is_empty() {
                answer.insert(path, held.into());
            }
        }
        answer.into()
    }
}
