//! The stand-in as a process of its own, to try things by hand: `netbox-standin
//! [--version 4.6] [--port 8000] [--token TOKEN] [--read-only TOKEN] [--idle SECONDS]`.
//! It prints its address in one line and serves until it is ended. Without `--token` it
//! takes `0123456789abcdef0123456789abcdef01234567`; since 4.6 the same as
//! `nbt_standInKey01.0123456789abcdef0123456789abcdef01234567` too.

#[path = "mod.rs"]
mod netbox;

use netbox::{Options, StandIn, Token, Version};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(start) {
        Ok(standin) => {
            announce(&standin.url());
            standin.wait();
            ExitCode::SUCCESS
        }
        Err(what) => {
            complain(&what);
            ExitCode::from(2)
        }
    }
}

fn start(options: Options) -> Result<StandIn, String> {
    let port = options.port;
    StandIn::with(options)
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port}: {error}; name another --port"))
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::new(Version::V4_6);
    options.tokens.push(Token::v2("standInKey01", netbox::TOKEN, "admin"));
    while let Some(word) = words.next() {
        let value =
            words.next().ok_or_else(|| format!("cannot read `{word}`: it takes a value"))?;
        match word.as_str() {
            "--version" => options.version = value.parse()?,
            "--port" => options.port = number(&word, &value)?,
            "--token" => options.tokens = vec![Token::v1(&value, "admin")],
            "--read-only" => options.tokens.push(Token::v1(&value, "reader").read_only()),
            "--idle" => options.idle = Some(Duration::from_secs(number(&word, &value)?)),
            _ => {
                return Err(format!(
                    "cannot read `{word}`: there are --version, --port, --token, --read-only and --idle"
                ));
            }
        }
    }
    Ok(options)
}

fn number<N: std::str::FromStr>(word: &str, value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("cannot read `{word} {value}`: it takes a number"))
}

#[expect(clippy::print_stdout, reason = "whoever started the process reads the address here")]
fn announce(url: &str) {
    println!("{url}");
}

#[expect(clippy::print_stderr, reason = "a process has no other way to say why it does not start")]
fn complain(what: &str) {
    eprintln!("netbox-standin: {what}");
}
