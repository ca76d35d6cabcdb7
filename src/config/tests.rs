//! Whole files and environments: what is understood, and what is told.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::environment::Environment;
use super::*;
use crate::domain::object::{Field, Kind};
use crate::domain::observation::HostAttribute;
use crate::domain::settings::{Bind, Owner, Standing, Witness};

/// A file in a folder of its own.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new(text: &str) -> Self {
        let scratch = Scratch { folder: tempfile::tempdir().unwrap() };
        scratch.put("netbox-agent.toml", text, 0o600);
        scratch
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Settings, Complaints> {
        load_in(Some(&self.folder.path().join("netbox-agent.toml")), &Environment::of(variables))
    }

    /// What is told, without the folder's name, which changes.
    fn told(&self, variables: &[(&str, &str)]) -> String {
        let folder = format!("{}/", self.folder.path().display());
        self.load(variables).unwrap_err().to_string().replace(&folder, "")
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let settings = load_in(None, &Environment::of(&[("HOME", "/nonexistent")])).unwrap();
    assert!(settings.netbox.is_none() && settings.sources.is_empty());
    assert_eq!(settings.path, None);
    assert_eq!(&*settings.policy.defaults.site, "Main");
}

#[test]
fn every_mistake_of_a_file_is_told_at_once_with_its_place() {
    let scratch = Scratch::new(
        r#"
[agent]
name = "my agent"
concurency = 4
deadline = 30

[netbox]
urll = "https://netbox.example.org"
token = "s3cret-token"
timeout = "soon"
verify_tls = "yes"
concurrency = 0

[defaults]
site = ""
seen_with_mac = "devise"
tags = ["ok", 5]

[[rule]]
match.subnet = ["192.168.1.0/24", "192.168.300.0/24"]
match.kind = ["virtualmachine"]
match.source = ["lan"]
set.sight = "Home"

[ownership.fields]
"device.nane" = "agent"
status = "mine"

[absence]
grace_time = "-3h"

[guard]
max_retires = "20"
max_deletes = "many"

[ranking]
serail = ["self"]
name = ["personn", "self", "self"]

[[bind]]
join = ["mac:bc:24:11:aa:bb:cc"]

[[bind]]
join = ["mac:nonsense", "name:x"]

[lgo]
level = "warn"
"#,
    );
    let told = scratch.told(&[]);
    assert!(!told.contains("s3cret"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_place_and_without_its_secrets() {
    let scratch =
        Scratch::new("[netbox]\nurl = \"https://netbox\"\ntoken = \"s3cret\nverify_tls = true\n");
    let told = scratch.told(&[]);
    assert!(!told.contains("s3cret"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_misspelt_secret_is_not_shown() {
    for text in [
        "[netbox]\ntokn = \"s3cret\"",
        "[netbox]\ntoken = 5433212",
        "netbox = { tokne = \"s3cret\" }",
    ] {
        let told = Scratch::new(text).told(&[]);
        assert!(!told.contains("s3cret") && !told.contains("5433212"), "{told}");
    }
}

#[test]
fn a_missing_file_says_how_to_get_one() {
    let missing = load_in(Some(Path::new("/nonexistent/a.toml")), &Environment::of(&[]));
    let told = missing.unwrap_err().to_string();
    assert!(told.contains("/nonexistent/a.toml") && told.contains("config init"), "{told}");
    let named = Environment::of(&[("NETBOX_AGENT_CONFIG", "/nonexistent/b.toml")]);
    let told = load_in(None, &named).unwrap_err().to_string();
    assert!(told.starts_with("NETBOX_AGENT_CONFIG: cannot read"), "{told}");
}

#[test]
fn the_usual_places_are_searched_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("netbox-agent");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("netbox-agent.toml"), "[agent]\nname = \"found\"").unwrap();
    let base = folder.path().to_str().unwrap();
    let settings = load_in(None, &Environment::of(&[("XDG_CONFIG_HOME", base)])).unwrap();
    assert_eq!(settings.policy.instance.as_str(), "found");
}

#[test]
fn the_environment_wins_over_the_file() {
    let scratch = Scratch::new(
        "[netbox]\nurl = \"https://file\"\ntoken_file = \"/nonexistent\"\ntimeout = \"5s\"\n[defaults]\nsite = \"File\"",
    );
    let settings = scratch
        .load(&[
            ("NETBOX_AGENT__NETBOX__URL", "https://env/netbox/api/"),
            ("NETBOX_AGENT__NETBOX__TOKEN", "0123"),
            ("NETBOX_AGENT__NETBOX__VERIFY_TLS", "false"),
            ("NETBOX_AGENT__NETBOX__CONCURRENCY", "2"),
            ("NETBOX_AGENT__NETBOX__REQUESTS_PER_SECOND", "0.5"),
            ("NETBOX_AGENT__DEFAULTS__TAGS", "a, b"),
            ("NETBOX_AGENT__GUARD__MAX_CREATES", "20%"),
            ("NETBOX_AGENT__GUARD__MAX_MOVES", "7"),
            ("NETBOX_AGENT__LOG__LEVEL", "debug"),
            ("NETBOX_AGENT__OWNERSHIP__FIELDS__DEVICE__NAME", "agent"),
        ])
        .unwrap();
    let netbox = settings.netbox.unwrap();
    assert_eq!(netbox.url.as_str(), "https://env/netbox/");
    assert_eq!(netbox.token.expose_secret(), "0123", "as it was written");
    assert_eq!(netbox.http.timeout.as_secs(), 5, "from the file");
    assert_eq!(netbox.http.concurrency.get(), 2);
    assert!(matches!(netbox.http.trust, crate::http::Trust::Anyone));
    assert_eq!(settings.policy.defaults.tags.len(), 2);
    assert_eq!(&*settings.policy.defaults.site, "File");
    assert_eq!(settings.policy.guard.max_creates.to_string(), "20%");
    assert_eq!(settings.policy.guard.max_moves.to_string(), "7");
    assert_eq!(settings.log.level, Level::Debug);
    assert_eq!(settings.policy.ownership.of(Kind::Device, Field::Name), Owner::Agent);
}

#[test]
fn mistakes_of_the_environment_name_the_variable() {
    let scratch = Scratch::new("[netbox]\nurl = \"https://netbox\"\n");
    let told = scratch.told(&[
        ("NETBOX_AGENT__NETBOX__URLL", "x"),
        ("NETBOX_AGENT__NETBOX__TIMEOUT", "soon"),
        ("NETBOX_AGENT__NETBOX__CONCURRENCY", "many"),
        ("NETBOX_AGENT__NETBOX__TOKEN_FILE", "/nonexistent/token"),
        ("NETBOX_AGENT__NETBOXX", "x"),
        ("NETBOX_AGENT__DEFAULTS__SEEN_WITH_MAC", "adress"),
        ("NETBOX_AGENT__SOURCE__LAN__SUBNETS", "10.0.0.0/24"),
        ("NETBOX_AGENT__RULE__SITE", "x"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn netbox_needs_an_address_and_a_token() {
    insta::assert_snapshot!(Scratch::new("[netbox]\n").told(&[]));
    insta::assert_snapshot!(
        Scratch::new("[netbox]\nurl = \"ftp://x\"\ntoken_file = \"/nonexistent/token\"\nca_file = \"/nonexistent/ca.pem\"\n").told(&[])
    );
    for url in ["x", "netbox.example.org", "localhost:8000", "http://", "mailto:me"] {
        let told = Scratch::new(&format!("[netbox]\nurl = \"{url}\"\ntoken = \"abc\"\n")).told(&[]);
        let first = told.lines().next().unwrap();
        assert!(
            first.ends_with(
                "expected an address such as https://netbox.example.org or http://127.0.0.1:8000"
            ),
            "{url}: {told}"
        );
    }
}

#[test]
fn a_token_that_cannot_be_one_is_told_without_it() {
    for token in ["Token 0123456789", "abc\\ndef", "tok\u{e9}n-s3cret"] {
        let text = format!("[netbox]\nurl = \"https://netbox\"\ntoken = \"{token}\"\n");
        let told = Scratch::new(&text).told(&[]);
        assert!(told.contains("copied whole") && told.contains("token = …"), "{told}");
    }
}

#[test]
fn a_systemd_credential_serves_as_the_token() {
    let scratch = Scratch::new("[netbox]\nurl = \"https://netbox\"\n");
    scratch.put("netbox.token", "abc\n", 0o600);
    let folder = scratch.folder.path().to_str().unwrap();
    let settings = scratch.load(&[("CREDENTIALS_DIRECTORY", folder)]).unwrap();
    assert_eq!(settings.netbox.unwrap().token.expose_secret(), "abc");
}

#[test]
fn a_file_with_secrets_that_everyone_can_read_is_warned_of() {
    let text = "[netbox]\nurl = \"https://netbox\"\ntoken = \"abc\"\n";
    let scratch = Scratch::new(text);
    assert!(scratch.load(&[]).unwrap().warnings.is_empty());
    scratch.put("netbox-agent.toml", text, 0o644);
    let warnings = scratch.load(&[]).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("chmod 600")), "{warnings:?}");
    scratch.put("netbox-agent.toml", "[agent]\nname = \"a\"", 0o644);
    assert!(scratch.load(&[]).unwrap().warnings.is_empty(), "it holds none");
}

#[test]
fn a_token_that_travels_unencrypted_is_warned_of() {
    let warned = |url: &str| {
        let text = format!("[netbox]\nurl = \"{url}\"\ntoken = \"abc\"\n");
        !Scratch::new(&text).load(&[]).unwrap().warnings.is_empty()
    };
    assert!(warned("http://netbox.lan"));
    assert!(!warned("https://netbox.lan"));
    assert!(!warned("http://127.0.0.1:8000"));
    assert!(!warned("http://[::1]:8000"));
}

#[test]
fn decisions_become_values_of_the_domain() {
    let settings = Scratch::new(
        r#"
[defaults]
location = "Basement / Rack 1"
[[rule]]
name = "cameras"
match.kind = ["device"]
match.subnet = ["192.168.30.7/24"]
match.name = ["cam-*"]
match.mac = ["bc:24:11"]
set.site = "Home"
set.keep = "nothing"
[[rule]]
set.tags = ["all"]
[manufacturers]
Ubiquiti = ["ubnt", "Ubiquiti Networks"]
[ownership]
policy = "fill-only"
[ownership.fields]
description = "cooperative"
"virtual_machine.status" = "agent"
device.status = "agent"
[guard]
max_retires = { count = 3, share = "12.5%" }
max_deletes = "unlimited"
[ranking]
name = ["self", "person"]
[ranking.interface]
description = ["hypervisor"]
[[bind]]
join = ["pve:lab/qemu/1", "mac:bc:24:11:aa:bb:cc"]
[[bind]]
alias = ["TrueNAS", "nas01"]
"#,
    )
    .load(&[])
    .unwrap();
    let policy = settings.policy;
    assert_eq!(policy.defaults.location.as_deref(), Some("Basement / Rack 1"));
    let [cameras, all] = policy.rules.0.as_slice() else { panic!("{:?}", policy.rules) };
    assert_eq!(cameras.when.subnets, ["192.168.30.0/24".parse().unwrap()]);
    assert_eq!(cameras.set.keep, Some(Standing::Nothing));
    assert_eq!((&*all.name, all.when.is_empty()), ("rule 2", true));
    assert_eq!(policy.manufacturers["Ubiquiti"].len(), 2);
    let ownership = policy.ownership;
    assert_eq!(ownership.of(Kind::Site, Field::Name), Owner::FillOnly);
    assert_eq!(ownership.of(Kind::Site, Field::Description), Owner::Cooperative);
    assert_eq!(ownership.of(Kind::VirtualMachine, Field::Status), Owner::Agent);
    assert_eq!(ownership.of(Kind::Device, Field::Status), Owner::Agent);
    assert_eq!(policy.guard.max_retires.to_string(), "3 or 12.5%");
    assert!(policy.guard.max_deletes.allows(1_000_000, 1));
    let name = &policy.ranking.host[&HostAttribute::Name];
    assert_eq!(name.len(), 2);
    assert!(matches!(name[0], Witness::Position(_)));
    assert!(matches!(&policy.binds[1], Bind::Alias(names) if names.contains("truenas")));
}

const SHELF: &str = "[[source]]\nkind = \"exec\"\nname = \"my-shelf\"\ncommand = [\"true\"]\n";

#[test]
fn a_source_is_made_of_shared_keys_and_its_own() {
    let text = format!(
        "{SHELF}segment = \"lab\"\n[[source]]\nkind = \"exec\"\nshell = \"true\"\ndeadline = \"10s\"\n[[source]]\nkind = \"exec\"\nname = \"off\"\nenabled = false\n"
    );
    let settings = Scratch::new(&text).load(&[]).unwrap();
    let [first, second] = settings.sources.as_slice() else { panic!("{:?}", settings.sources) };
    assert_eq!((first.name.as_str(), first.segment.as_str()), ("my-shelf", "lab"));
    assert_eq!(first.deadline.as_secs(), 15 * 60, "as [agent] says");
    assert_eq!((second.name.as_str(), second.deadline.as_secs()), ("exec", 10));
    assert_eq!(settings.disabled, ["off".parse().unwrap()]);
}

#[test]
fn every_mistake_of_every_source_is_told() {
    let told = Scratch::new(
        r#"
[[source]]
kind = "exce"

[[source]]
name = "nameless"

[[source]]
kind = "exec"
name = "a b"

[[source]]
kind = "exec"
name = "one"
comand = ["true"]
timeout = 5
enabled = "yes"
env_file = { TOKEN = "/nonexistent/token" }

[[source]]
kind = "exec"
name = "two"
command = ["true"]
shell = "true"
max_output_mb = 0
env_file = { TOKEN = "/nonexistent/token" }

[[source]]
kind = "exec"
name = "ONE"
command = ["true"]
enabeld = true
timeout = 6

[[source]]
kind = "exec"
name = "wire"
command = ["true"]
timeout = 7

[[source]]
kind = "no name"
"#,
    )
    .told(&[]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_source_without_brackets_enough_is_told() {
    let told = Scratch::new("[source]\nkind = \"exec\"\n").told(&[]);
    assert!(told.contains("[[source]]"), "{told}");
    let told = Scratch::new("[[sources]]\nkind = \"exec\"\n").told(&[]);
    assert!(told.contains("did you mean `source`"), "{told}");
}

#[test]
fn the_environment_sets_keys_of_a_source_by_its_name() {
    let settings = Scratch::new(SHELF)
        .load(&[
            ("NETBOX_AGENT__SOURCE__MY_SHELF__TIMEOUT", "7s"),
            ("NETBOX_AGENT__SOURCE__MY_SHELF__MAX_OUTPUT_MB", "3"),
            ("NETBOX_AGENT__SOURCE__MY_SHELF__COMMAND", "echo, hello"),
            ("NETBOX_AGENT__SOURCE__MY_SHELF__DEADLINE", "9s"),
        ])
        .unwrap();
    let shelf = &settings.sources[0];
    assert_eq!(shelf.deadline.as_secs(), 9);
    let debug = format!("{:?}", shelf.collector);
    for part in ["timeout: 7s", "max_output: 3000000", r#"argv: ["echo", "hello"]"#] {
        assert!(debug.contains(part), "{part} is not in {debug}");
    }
    let off = Scratch::new(SHELF).load(&[("NETBOX_AGENT__SOURCE__MY_SHELF__ENABLED", "false")]);
    assert!(off.unwrap().sources.is_empty());
}

#[test]
fn mistakes_of_the_environment_about_sources_name_the_variable() {
    let told = Scratch::new(SHELF).told(&[
        ("NETBOX_AGENT__SOURCE__MY_SHELF__TIMEOUT", "soon"),
        ("NETBOX_AGENT__SOURCE__MY_SHELF__MAX_OUTPUT_MB", "0"),
        ("NETBOX_AGENT__SOURCE__MY_SHELF__COMAND", "x"),
        ("NETBOX_AGENT__SOURCE__MY_SHELF__ENABELD", "x"),
        ("NETBOX_AGENT__SOURCE__MY_SHELF__KIND", "sweep"),
        ("NETBOX_AGENT__SOURCE__MY_SHELF__ENABLED", "maybe"),
        ("NETBOX_AGENT__SOURCE__MY_SHELFF__SHELL", "x"),
        ("NETBOX_AGENT__SOURCE__MY_SHELF", "x"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn the_environment_names_makers_as_it_can() {
    let text = "[manufacturers]\n\"TP-Link & Co.\" = [\"tpl\"]\n\"Acme\" = [\"ac\"]\n";
    let scratch = Scratch::new(text);
    let settings = scratch
        .load(&[
            ("NETBOX_AGENT__MANUFACTURERS__TP_LINK_CO", "3, x3"),
            ("NETBOX_AGENT__MANUFACTURERS__HEWLETT_PACKARD", "compaq"),
        ])
        .unwrap();
    let makers: Vec<String> = (settings.policy.manufacturers.iter())
        .map(|(name, others)| {
            format!("{name}: {}", others.iter().cloned().collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert_eq!(makers, ["Acme: ac", "Hewlett Packard: compaq", "TP-Link & Co.: 3, x3"]);
    let environment = Environment::of(&[
        ("NETBOX_AGENT__MANUFACTURERS__ACME", "a, b"),
        ("NETBOX_AGENT__MANUFACTURERS__TP_LINK_CO", "t"),
    ]);
    let path = scratch.folder.path().join("netbox-agent.toml");
    let shown = super::show::show_in(Some(&path), &environment).unwrap();
    assert!(
        shown.contains("Acme = [\"a\", \"b\"]  # NETBOX_AGENT__MANUFACTURERS__ACME\n"),
        "{shown}"
    );
    assert!(shown.contains("[\"t\"]  # NETBOX_AGENT__MANUFACTURERS__TP_LINK_CO\n"), "{shown}");
    let told = scratch.told(&[
        ("NETBOX_AGENT__MANUFACTURERS__ACNE", "a"),
        ("NETBOX_AGENT__MANUFACTURERS__QUX", "a"),
        ("NETBOX_AGENT__MANUFACTURERS__TP_LINK_CO", &"a".repeat(200)),
    ]);
    assert_eq!(
        told,
        "NETBOX_AGENT__MANUFACTURERS__ACNE: no maker is called `acne`; did you mean `acme`?\n\
         NETBOX_AGENT__MANUFACTURERS__QUX: no maker is called `qux`; a new one goes into the file, \
         where its name has capitals and spaces\n\
         NETBOX_AGENT__MANUFACTURERS__TP_LINK_CO: expected one line of text with 1 to 100 characters"
    );
}

#[test]
fn a_file_that_only_another_user_may_read_is_told_with_what_to_do() {
    let error = std::io::Error::from_raw_os_error(13);
    assert_eq!(
        super::cannot(std::path::Path::new("/etc/a.toml"), &error),
        "cannot read the configuration /etc/a.toml: Permission denied (os error 13); run this as \
         the file's owner or as root, or name another with --config"
    );
}

#[test]
fn rules_and_rankings_may_name_sources() {
    let text = format!(
        "{SHELF}[[rule]]\nmatch.source = [\"my-shelf\"]\nset.site = \"A\"\n[ranking]\nname = [\"my-shelf\", \"self\"]\n"
    );
    let settings = Scratch::new(&text).load(&[]).unwrap();
    let first = &settings.policy.ranking.host[&HostAttribute::Name][0];
    assert_eq!(*first, Witness::Source("my-shelf".parse().unwrap()));
    let told = Scratch::new(&text.replace("\"my-shelf\"]", "\"my-shelv\"]")).told(&[]);
    assert!(told.contains("did you mean `my-shelf`"), "{told}");
}

#[test]
fn what_is_in_effect_is_shown_with_its_origin_and_without_secrets() {
    let scratch = Scratch::new(&format!(
        "[netbox]\nurl = \"https://netbox\"\ntoken = \"s3cret-one\"\n[[rule]]\nmatch.name = [\"a*\"]\nset.site = \"A\"\n{SHELF}env = {{ TOKEN = \"s3cret-two\" }}\n# token = \"s3cret-three\"\n"
    ));
    let environment = Environment::of(&[
        ("NETBOX_AGENT__DEFAULTS__SITE", "Lab"),
        ("NETBOX_AGENT__SOURCE__MY_SHELF__TIMEOUT", "7s"),
    ]);
    let path = scratch.folder.path().join("netbox-agent.toml");
    let shown = super::show::show_in(Some(&path), &environment).unwrap();
    assert!(!shown.contains("s3cret"), "{shown}");
    insta::assert_snapshot!(shown.replace(path.to_str().unwrap(), "netbox-agent.toml"));
}
