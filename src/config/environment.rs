//! What the environment says: the only place that reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::complaint::Complaint;
use crate::domain::name::InstanceName;

const PREFIX: &str = "NETBOX_AGENT__";

/// A copy of the variables that matter, taken once.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, String>,
    unreadable: Vec<String>,
}

impl Environment {
    /// The process's own.
    pub(super) fn read() -> Self {
        let mut environment = Environment::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(environment.variables.insert(name, value)),
                Err(_) if name.starts_with(PREFIX) => environment.unreadable.push(name),
                Err(_) => {}
            }
        }
        environment
    }

    /// One made up for a test.
    #[cfg(test)]
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Environment { variables: variables.collect(), unreadable: Vec::new() }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Variables whose values are not text.
    pub(super) fn complaints(&self) -> impl Iterator<Item = Complaint> {
        self.unreadable.iter().map(|name| Complaint::in_variable(name, "its value is not UTF-8"))
    }

    /// The variables that set keys, by the key's path in lower case: `netbox.url`.
    pub(super) fn settings(&self) -> BTreeMap<String, (String, String)> {
        let keys = self.variables.iter().filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
            Some((path, (name.clone(), value.clone())))
        });
        keys.collect()
    }

    /// The configuration file that a variable names.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.get("NETBOX_AGENT_CONFIG").map(PathBuf::from)
    }

    /// Where configuration files are looked for, in this order.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        let system = Path::new("/etc").to_owned();
        let own = self.base("XDG_CONFIG_HOME", ".config");
        let file = |folder: PathBuf| folder.join("netbox-agent/netbox-agent.toml");
        [Some(system), own].into_iter().flatten().map(file).collect()
    }

    /// Where a new configuration file belongs: the system's for root, else the person's own.
    pub(super) fn home_of_file(&self) -> PathBuf {
        let mut places = self.places();
        match is_root() || places.len() < 2 {
            true => places.swap_remove(0),
            false => places.swap_remove(1),
        }
    }

    /// Where the agent keeps its state.
    pub(super) fn state_dir(&self) -> PathBuf {
        // systemd gives several folders separated by colons; the first one is the agent's.
        if let Some(first) = self.get("STATE_DIRECTORY").and_then(|all| all.split(':').next()) {
            return first.into();
        }
        let own = self.base("XDG_STATE_HOME", ".local/state").filter(|_| !is_root());
        own.map_or_else(|| "/var/lib/netbox-agent".into(), |folder| folder.join("netbox-agent"))
    }

    /// A base directory of the XDG specification; relative ones are to be ignored.
    fn base(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let set = self.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        set.or_else(|| self.get("HOME").map(|home| Path::new(home).join(below_home)))
    }

    /// systemd's folder of credentials.
    pub(super) fn credentials(&self) -> Option<PathBuf> {
        self.get("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    /// Whether it asks for no colours.
    pub(super) fn colours_unwanted(&self) -> bool {
        self.get("NO_COLOR").is_some()
    }
}

/// Whether the process runs as root: the owner of its own folder in `/proc`.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// A name for this agent made of the host's name.
pub(super) fn host_name() -> InstanceName {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label = name.trim().split('.').next().unwrap_or_default();
    let plain: String = label
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(64)
        .collect();
    plain.parse().or_else(|_| "netbox-agent".parse()).expect("the last resort is a plain name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_paths_of_keys() {
        let environment = Environment::of(&[
            ("NETBOX_AGENT__NETBOX__URL", "https://x"),
            ("NETBOX_AGENT__SOURCE__PVE_LAB__TOKEN_FILE", "/t"),
            ("NETBOX_AGENT_CONFIG", "/c.toml"),
            ("PATH", "/bin"),
        ]);
        let paths: Vec<String> = environment.settings().into_keys().collect();
        assert_eq!(paths, ["netbox.url", "source.pve_lab.token_file"]);
        assert_eq!(environment.file(), Some("/c.toml".into()));
    }

    #[test]
    fn relative_base_directories_are_ignored() {
        let environment = Environment::of(&[("XDG_CONFIG_HOME", "etc"), ("HOME", "/home/me")]);
        assert_eq!(
            environment.places(),
            [
                Path::new("/etc/netbox-agent/netbox-agent.toml"),
                Path::new("/home/me/.config/netbox-agent/netbox-agent.toml"),
            ]
        );
    }

    #[test]
    fn the_host_gives_the_agent_a_name() {
        assert!(!host_name().as_str().is_empty());
    }
}
