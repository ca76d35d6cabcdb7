//! The commented sample, and the file that a person starts from.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::environment::Environment;
use crate::collect::KINDS;

/// Every key with its default and what it is for.
pub const SAMPLE: &str = include_str!("../../config/netbox-agent.toml");

/// Where a new configuration file belongs on this machine.
#[must_use]
pub fn default_path() -> PathBuf {
    let environment = Environment::read();
    environment.file().unwrap_or_else(|| environment.home_of_file())
}

/// The sample with one source filled in: a sweep of these subnets.
#[must_use]
pub fn starting_file(subnets: &[IpNet]) -> String {
    let mut text = SAMPLE.to_owned();
    text.push_str(
        "\n# The networks that this machine is connected to, as `config init` found them.\n",
    );
    let list: Vec<String> = subnets.iter().map(|net| format!("\"{net}\"")).collect();
    let can_sweep = KINDS.iter().any(|kind| kind.name == "sweep");
    let comment = if subnets.is_empty() || !can_sweep { "# " } else { "" };
    for line in [
        "[[source]]".to_owned(),
        "kind = \"sweep\"".to_owned(),
        "name = \"lan\"".to_owned(),
        format!("subnets = [{}]", list.join(", ")),
    ] {
        text.push_str(&format!("{comment}{line}\n"));
    }
    text
}

/// Writes a new file that only its owner can read. What stands there is replaced only
/// when asked, and then in one step.
///
/// # Errors
/// When a file stands there already, or it cannot be written.
pub fn write_new(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut new = std::fs::OpenOptions::new();
    new.write(true).create_new(true).mode(0o600);
    let fill = |mut file: std::fs::File| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    if !replace {
        return new.open(path).and_then(fill);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let beside = path.with_file_name(name);
    let written = new.open(&beside).and_then(fill).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // Nothing half-written stays behind.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use toml_edit::{DocumentMut, TableLike};

    use super::super::file::File;
    use super::*;
    use crate::duration::Period;

    /// The sample with every commented key in force.
    fn uncommented() -> String {
        let is_key = |line: &str| {
            let key = line.split(['=', ' ']).next().unwrap_or_default();
            let plain = |c: char| c.is_ascii_alphanumeric() || "_.\"-".contains(c);
            (line.contains(" = ") && !key.is_empty() && key.chars().all(plain))
                || line.starts_with('[')
        };
        let (sections, _) = SAMPLE.split_once("\n# The sources.").unwrap();
        let lines =
            sections.lines().skip_while(|line| !line.starts_with("[agent]")).map(|line| match line
                .strip_prefix("# ")
            {
                Some(rest) if is_key(rest) => rest.to_owned(),
                _ => line.to_owned(),
            });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Every value by its path; a limit with both bounds is one value.
    fn leaves(prefix: &str, table: &dyn TableLike, found: &mut BTreeMap<String, String>) {
        for (key, item) in table.iter() {
            let path = format!("{prefix}{key}");
            match item.as_table_like().filter(|inner| !inner.contains_key("count")) {
                Some(inner) => leaves(&format!("{path}."), inner, found),
                None => {
                    let text = item.to_string();
                    let value = text.split(" #").next().unwrap();
                    found.insert(path, value.replace([' ', '\n'], ""));
                }
            }
        }
    }

    #[test]
    fn every_key_of_the_sample_exists_and_shows_its_default() {
        let text = uncommented();
        let file: File =
            toml_edit::de::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!((file.rule.len(), file.bind.len()), (1, 3), "the examples are there");
        let mut sample = BTreeMap::new();
        leaves("", text.parse::<DocumentMut>().unwrap().as_table(), &mut sample);
        let defaults = File { netbox: Some(Default::default()), ..File::default() };
        let mut expected = BTreeMap::new();
        leaves("", toml_edit::ser::to_document(&defaults).unwrap().as_table(), &mut expected);
        for (key, default) in expected {
            let shown = sample.get(&key).unwrap_or_else(|| panic!("{key} is not in the sample"));
            let as_period = shown.trim_matches('"').parse::<Period>().map(|p| format!("\"{p}\""));
            let same = *shown == default
                || format!("{shown}.0") == default
                || as_period.is_ok_and(|shown| shown.replace(' ', "") == default);
            assert!(same, "{key} shows {shown}, not {default}");
        }
    }

    #[test]
    fn every_kind_of_source_is_in_the_sample() {
        for kind in KINDS {
            assert!(
                SAMPLE.contains(kind.sample.trim()),
                "config/netbox-agent.toml lacks this, word for word:\n{}",
                kind.sample.trim()
            );
        }
    }

    #[test]
    fn the_samples_of_sources_are_right() {
        for kind in KINDS {
            let lines = kind.sample.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
            let text = lines.collect::<Vec<_>>().join("\n");
            assert!(text.contains(&format!("kind = \"{}\"", kind.name)), "{text}");
            assert!(text.contains("[[source]]"), "{text}");
        }
    }

    #[test]
    fn a_new_file_is_its_owners_and_replaces_nothing_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/netbox-agent.toml");
        write_new(&path, "one", false).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = write_new(&path, "two", false).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        write_new(&path, "three", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
