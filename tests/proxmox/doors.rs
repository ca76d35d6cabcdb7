//! How the source gets in, and what it says when it does not: tokens, certificates, nodes
//! that go away, and time that runs out.

use std::time::{Duration, Instant};

use netbox_agent::domain::object::Kind;

use crate::cluster::cluster;
use crate::lab::{End, Lab};
use crate::standin::{Certificate, Release, SECRET, Standin};

fn small(lab: &Lab) -> crate::standin::Pve {
    cluster(&lab.salt, Release::V9_2, 1, 2)
}

/// The line that a sync ends with when nothing could be read.
async fn failure(lab: &Lab) -> String {
    let end = lab.run(&["sync"]).await;
    assert_eq!(end.code, 1, "nothing was asked but this source: {}\n{}", end.out, end.err);
    let said = end.err.lines().find(|line| line.starts_with("error: "));
    said.unwrap_or_else(|| panic!("{}", end.err)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_node_is_gone_the_next_one_is_asked() {
    let lab = Lab::new();
    let mut standin = Standin::open(small(&lab), 3).await;
    let lab = lab.asks("pve", &standin, "");
    lab.settle(0).await;
    standin.shut(0);
    standin.shut(1);
    let run = lab.sync(0).await;
    assert_eq!(run.changes(), Vec::<String>::new());
    assert_eq!(run.told("warning").len(), 2, "{:?}", run.told("warning"));
    assert!(run.told("warning").iter().all(|told| told.starts_with("endpoint_failed")));
    standin.shut(2);
    let said = failure(&lab).await;
    assert!(said.contains("cannot reach") && said.contains("connection was refused"), "{said}");
    assert_eq!(lab.made().await.of(Kind::VirtualMachine).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_away_in_the_middle_takes_nothing_with_it() {
    let lab = Lab::new();
    let mut pve = cluster(&lab.salt, Release::V9_2, 2, 60);
    pve.latency = Duration::from_millis(20);
    let mut standin = Standin::open(pve, 2).await;
    let lab = lab.asks("pve", &standin, "");
    let syncing = tokio::spawn(async move {
        let run = lab.sync(0).await;
        (lab, run)
    });
    let mut asked = 0;
    while asked < 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        asked += standin.requests().len();
    }
    standin.shut(0);
    let (lab, run) = syncing.await.unwrap();
    assert!(run.told("warning")[0].starts_with("endpoint_failed"), "{:?}", run.told("warning"));
    assert_eq!(lab.made().await.of(Kind::VirtualMachine).len(), 60);
    assert_eq!(lab.sync(0).await.changes(), Vec::<String>::new(), "nothing was left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_tried_once_and_at_one_node() {
    let lab = Lab::new();
    let standin = Standin::open(small(&lab), 3).await;
    standin.pve().token().secret = "another".to_owned();
    let lab = lab.asks("pve", &standin, "");
    let begun = Instant::now();
    let said = failure(&lab).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "a refusal takes three seconds");
    assert_eq!(standin.requests(), ["/version"]);
    for part in ["refused", "the token was not accepted", "invalid token value", "not expired"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_away_in_the_middle_ends_the_run_and_nothing_is_retired() {
    let lab = Lab::new();
    let mut pve = cluster(&lab.salt, Release::V9_2, 2, 40);
    pve.latency = Duration::from_millis(20);
    let standin = Standin::open(pve, 1).await;
    let lab = lab.asks("pve", &standin, "");
    lab.settle(0).await;
    let _ = standin.requests();
    let syncing = tokio::spawn(async move {
        let run = lab.sync(3).await;
        (lab, run)
    });
    let mut asked = 0;
    while asked < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        asked += standin.requests().len();
    }
    standin.pve().token().secret = "another".to_owned();
    let (lab, run) = syncing.await.unwrap();
    assert_eq!(run.changes(), Vec::<String>::new());
    assert!(run.message("ended_early").contains("the token was not accepted"));
    standin.pve().token().secret = SECRET.to_owned();
    assert_eq!(lab.sync(0).await.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn time_that_runs_out_is_told_and_nothing_is_retired() {
    let lab = Lab::new();
    let standin = Standin::open(cluster(&lab.salt, Release::V9_2, 2, 40), 1).await;
    let lab = lab.asks("pve", &standin, "deadline = \"3s\"");
    lab.settle(0).await;
    standin.pve().latency = Duration::from_millis(400);
    let begun = Instant::now();
    let run = lab.sync(3).await;
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(run.changes(), Vec::<String>::new());
    let said = run.message("ended_early");
    assert!(said.contains("longer `deadline`") && said.contains("of 40 guests"), "{said}");
    standin.pve().latency = Duration::ZERO;
    assert_eq!(lab.sync(0).await.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_accepted_by_authority_or_fingerprint_and_by_nothing_else() {
    let good = Certificate::until(2095);
    let lab = Lab::new();
    let file = lab.keep("ca.pem", &good.pem);
    let standin = Standin::behind(small(&lab), &[Some(&good)]);
    let (pin, other) = (good.pin.to_string(), Certificate::until(2095).pin.to_string());
    for (keys, refused) in [
        (String::new(), Some("self-signed")),
        (format!("ca_file = {file:?}"), None),
        (format!("fingerprint = \"{pin}\""), None),
        (format!("fingerprint = \"{}\"", pin.replace(':', "").to_lowercase()), None),
        ("verify_tls = false".to_owned(), None),
        (format!("fingerprint = \"{other}\""), Some("fingerprint")),
    ] {
        let lab = Lab::new().asks("pve", &standin, &keys);
        let End { code, out, err } = lab.run(&["collect"]).await;
        match refused {
            None => assert_eq!(code, 0, "{keys}: {out}\n{err}"),
            Some(why) => {
                assert_ne!(code, 0, "{keys}");
                let said = format!("{out}{err}");
                assert!(said.contains(why) && said.contains(&pin), "{keys}: {said}");
                assert_eq!(standin.requests(), Vec::<String>::new(), "nothing was sent");
            }
        }
        let _ = standin.requests();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_expired_is_named_and_the_next_node_is_asked() {
    let (old, good) = (Certificate::until(2020), Certificate::until(2095));
    let lab = Lab::new();
    let file = lab.keep("ca.pem", &format!("{}{}", old.pem, good.pem));
    let standin = Standin::behind(small(&lab), &[Some(&old), Some(&good)]);
    let lab = lab.asks("pve", &standin, &format!("ca_file = {file:?}"));
    let run = lab.sync(0).await;
    let said = run.message("endpoint_failed");
    assert!(said.contains("expired") && said.contains("renew it"), "{said}");
    let alone = Standin::behind(small(&lab), &[Some(&old)]);
    let said = failure(&Lab::new().asks("pve", &alone, &format!("ca_file = {file:?}"))).await;
    assert!(said.contains("expired"), "{said}");
    assert_eq!(alone.requests(), Vec::<String>::new(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_may_have_a_fingerprint_of_its_own() {
    let (one, two) = (Certificate::until(2095), Certificate::until(2095));
    let lab = Lab::new();
    let mut standin = Standin::behind(small(&lab), &[Some(&one), Some(&two)]);
    standin.shut(0);
    let keys = format!("fingerprint = [\"{}\", \"{}\"]", one.pin, two.pin);
    let lab = lab.asks("pve", &standin, &keys);
    lab.settle(0).await;
    let keys = format!("fingerprint = [\"{}\", \"{}\"]", two.pin, one.pin);
    let crossed = Lab::new().asks("pve", &standin, &keys);
    assert!(failure(&crossed).await.contains("fingerprint"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_comes_from_anywhere_and_is_shown_nowhere() {
    let lab = Lab::new();
    let standin = Standin::open(small(&lab), 1).await;
    let file = lab.keep("token", &format!("{SECRET}\n"));
    let whole = format!("{}={SECRET}", crate::standin::TOKEN_ID);
    for keys in [
        format!("token_id = \"{}\"\ntoken_file = {file:?}", crate::standin::TOKEN_ID),
        format!(
            "token_id = \"{}\"\ntoken_command = \"cat {}\"",
            crate::standin::TOKEN_ID,
            file.display()
        ),
        format!("token = \"{whole}\""),
        format!("token = \"PVEAPIToken={whole}\""),
    ] {
        let lab = Lab::new().asks_with("pve", &standin, &keys);
        // Whatever is printed or logged, the run itself looks for the secret in it.
        let end = lab.run(&["-vvv", "sync", "--format", "json"]).await;
        assert_eq!(end.code, 0, "{keys}: {}", end.err);
        assert!(end.err.contains("TRACE") || end.err.contains("DEBUG"), "{}", end.err);
        for command in [
            &["-vvv", "collect"][..],
            &["inventory", "--format", "json"],
            &["plan"],
            &["config", "show"],
        ] {
            lab.run(command).await;
        }
        lab.holds_no_secret();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_echoes_the_token_cannot_make_it_shown() {
    let lab = Lab::new();
    let standin = Standin::open(small(&lab), 1).await;
    standin.pve().broken.insert(
        "/qemu/100/config".to_owned(),
        crate::standin::Broken::Status(500, format!("what is {SECRET} to me")),
    );
    let lab = lab.asks("pve", &standin, "");
    let run = lab.sync(3).await;
    assert!(
        run.message("guest_unreadable").contains("[redacted]"),
        "{}",
        run.message("guest_unreadable")
    );
    lab.holds_no_secret();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_no_proxmox_is_told_so() {
    let lab = Lab::new();
    let standin = Standin::open(small(&lab), 1).await;
    standin.pve().broken.insert(
        "/version".to_owned(),
        crate::standin::Broken::Body("<html>Welcome to nginx!</html>".to_owned()),
    );
    let said = failure(&lab.asks("pve", &standin, "")).await;
    assert!(said.contains("is this Proxmox VE?"), "{said}");
}
