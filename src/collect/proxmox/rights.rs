//! What the token may see. Proxmox VE leaves out silently what it may not, so that a
//! list proves nothing absent until its permission is proven.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::answer::Row;

/// Paths that a server always answers for when the token has any privilege there. Where
/// it answers for some of them, one that it leaves out is one without privileges.
const ALWAYS: [&str; 5] = ["/nodes", "/pool", "/sdn", "/storage", "/vms"];

/// Privileges by path, each with whether it reaches below the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rights {
    paths: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Rights {
    /// Reads the answer of `/access/permissions`.
    pub(super) fn read(answer: Json) -> Self {
        let Some(paths) = Row::of(answer) else { return Rights::default() };
        let of_path = |(path, privileges): (&str, &Json)| {
            let privileges = Row::of(privileges.clone())?;
            // What is listed is held; its value says whether it reaches below.
            let held = privileges
                .fields()
                .map(|(name, _)| (name.to_owned(), privileges.flag(name).unwrap_or_default()));
            Some((path.to_owned(), held.collect()))
        };
        Rights { paths: paths.fields().filter_map(of_path).collect() }
    }

    /// Takes note of the paths that have an entry of their own in the access control list,
    /// whoever it is for. The server tells of each of them what the token holds there; one
    /// that it does not tell of is one where the token holds nothing.
    pub(super) fn know(&mut self, entries: impl IntoIterator<Item = String>) {
        if !self.any_on("/access", &["Sys.Audit"]) {
            // The list is filtered itself: what stands in it was chosen by other privileges.
            return;
        }
        for path in entries {
            self.paths.entry(path).or_default();
        }
    }

    /// Whether the token holds one of these privileges on a path.
    pub(super) fn any_on(&self, path: &str, privileges: &[&str]) -> bool {
        self.held(path, privileges).is_some()
    }

    /// Whether the token holds one of these privileges on everything below a path, so that
    /// a list of what is there is whole.
    pub(super) fn any_below(&self, path: &str, privileges: &[&str]) -> bool {
        self.held(path, privileges) == Some(true)
    }

    /// Whether the token holds one of these privileges on everything below a path, without
    /// exception.
    pub(super) fn everywhere_below(&self, path: &str, privileges: &[&str]) -> bool {
        self.any_below(path, privileges) && self.exceptions(path, privileges).is_empty()
    }

    /// Paths below a path that have a permission of their own without any of these
    /// privileges: exceptions to what holds for the others.
    pub(super) fn exceptions(&self, path: &str, privileges: &[&str]) -> BTreeSet<&str> {
        let lacking = self.paths.keys().filter(|known| !self.any_on(known, privileges));
        lacking.filter_map(|known| known.strip_prefix(path)?.strip_prefix('/')).collect()
    }

    /// Whether one of the privileges is held on a path, and if so whether it reaches below.
    fn held(&self, path: &str, privileges: &[&str]) -> Option<bool> {
        let here = |path: &str| {
            let held = self.paths.get(path)?;
            let mut reach = privileges.iter().filter_map(|name| held.get(*name)).copied();
            let first = reach.next()?;
            Some(first || reach.any(|reach| reach))
        };
        let mut at = path;
        loop {
            if self.paths.contains_key(at) {
                // What is inherited reaches on, else it would not have come this far.
                let held = here(at)?;
                return (at == path || held).then_some(held);
            }
            if at == "/" || (ALWAYS.contains(&at) && self.tells_of_all()) {
                return None;
            }
            at = at.rsplit_once('/').map_or("/", |(parent, _)| parent);
            if at.is_empty() {
                at = "/";
            }
        }
    }

    fn tells_of_all(&self) -> bool {
        ALWAYS.iter().any(|path| self.paths.contains_key(*path))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_privilege_reaches_below_where_it_propagates() {
        let rights = Rights::read(json!({
            "/": { "Sys.Audit": 0, "SDN.Audit": 1 },
            "/nodes": { "Sys.Audit": 1 },
            "/sdn": { "SDN.Audit": 1 },
            "/vms/100": { "VM.Audit": 1, "VM.Monitor": 1 },
        }));
        assert!(rights.any_on("/", &["Sys.Audit"]) && !rights.any_below("/", &["Sys.Audit"]));
        assert!(rights.any_below("/nodes", &["Sys.Audit"]));
        assert!(rights.any_on("/nodes/pve1", &["Sys.Audit"]));
        assert!(rights.any_below("/sdn/zones/localnetwork", &["SDN.Use", "SDN.Audit"]));
        assert!(!rights.any_on("/vms", &["VM.Audit"]), "one guest is not all guests");
        assert!(!rights.any_on("/vms/101", &["VM.Audit"]));
        assert!(rights.any_on("/vms/100", &["VM.Monitor"]));
    }

    #[test]
    fn what_a_server_leaves_out_of_what_it_always_tells_is_not_held() {
        let all = json!({ "VM.Audit": 1, "Sys.Audit": 1 });
        let noaccess = Rights::read(json!({ "/": all, "/nodes": all, "/storage": all }));
        assert!(!noaccess.any_on("/vms", &["VM.Audit"]));
        let terse = Rights::read(json!({ "/": all }));
        assert!(terse.any_below("/vms", &["VM.Audit"]));
    }

    #[test]
    fn exceptions_are_found() {
        let rights = Rights::read(json!({
            "/vms": { "VM.Audit": 1 },
            "/vms/105": { "VM.PowerMgmt": 1 },
            "/vms/106": { "VM.Audit": 0 },
        }));
        assert!(rights.any_below("/vms", &["VM.Audit"]));
        assert_eq!(rights.exceptions("/vms", &["VM.Audit"]), BTreeSet::from(["105"]));
    }

    #[test]
    fn a_path_that_the_server_is_silent_of_though_it_has_an_entry_is_closed() {
        let all = json!({ "VM.Audit": 1, "Sys.Audit": 1 });
        let entries = || ["/vms/105".to_owned(), "/vms".to_owned(), "/".to_owned()];
        let mut rights = Rights::read(json!({ "/": all, "/vms": all, "/access": all }));
        assert!(rights.everywhere_below("/vms", &["VM.Audit"]));
        rights.know(entries());
        assert_eq!(rights.exceptions("/vms", &["VM.Audit"]), BTreeSet::from(["105"]));
        assert!(!rights.everywhere_below("/vms", &["VM.Audit"]));
        assert!(rights.any_on("/vms/104", &["VM.Audit"]));

        let mut rights = Rights::read(json!({ "/vms": { "VM.Audit": 1 } }));
        rights.know(entries());
        assert!(rights.everywhere_below("/vms", &["VM.Audit"]), "a filtered list proves nothing");
    }

    #[test]
    fn an_answer_of_another_shape_proves_nothing() {
        for answer in [json!(null), json!([]), json!({ "/": null })] {
            assert!(!Rights::read(answer).any_on("/", &["Sys.Audit"]));
        }
    }
}
