//! `inventory`: prints what stands, or what observations would make of it.

use std::io::IsTerminal;
use std::sync::Arc;

use clap::Args;

use super::{Format, render};
use crate::cli::console::Console;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::{Access, FromArgs, failure, open};
use crate::domain::object::Kind;
use crate::domain::world::{Need, World};
use crate::engine::{self, Asked, Context, Sink};
use crate::store::Store;

/// The arguments of `inventory`.
#[derive(Debug, Args)]
pub(in crate::cli) struct InventoryArgs {
    #[command(flatten)]
    from: FromArgs,
    /// Ask the sources now and show what they say, instead of what stands
    #[arg(long, conflicts_with = "from")]
    now: bool,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Show objects of one kind: device, virtual_machine, interface, ip_address, prefix, …
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
}

fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

pub(in crate::cli) async fn run(args: &InventoryArgs, console: &Console) -> Result<Exit, Failure> {
    let mut session = open(console, Access::Read, &[]).await?;
    let (world, partial) = if args.now || !args.from.from.is_empty() {
        let asked = session.ask(&args.from, console).await?;
        imagined(asked, &session.context, console).await?
    } else {
        let need = Need { kinds: Kind::ALL.iter().copied().collect() };
        (session.context.sink.snapshot(&need).await.map_err(|error| failure(&error))?, false)
    };
    let text = render(&world, args.format, args.kind, width()).map_err(Failure::usage)?;
    console.print(text)?;
    Ok(if partial { Exit::Partial } else { Exit::Done })
}

/// What observations alone would make of an empty inventory.
async fn imagined(
    asked: Vec<Asked>,
    context: &Context,
    console: &Console,
) -> Result<(World, bool), Failure> {
    let store = Arc::new(Store::in_memory().map_err(Failure::failed)?);
    let empty = Context { sink: Sink::local(&store), store, replay: true, ..context.clone() };
    let draft = engine::draft(asked, &empty).await.map_err(|error| failure(&error))?;
    for told in &draft.picture.diagnostics {
        if told.severity > crate::domain::diagnostic::Severity::Note {
            console.note(told);
        }
    }
    engine::apply(&draft, &empty, &console.progress(), &console.cancel())
        .await
        .map_err(|error| failure(&error))?;
    let need = Need { kinds: Kind::ALL.iter().copied().collect() };
    let world = empty.sink.snapshot(&need).await.map_err(|error| failure(&error))?;
    Ok((world, draft.picture.is_partial()))
}

/// The width of the terminal; none where the output is piped.
fn width() -> Option<u16> {
    let out = std::io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    (size.ws_col > 0).then_some(size.ws_col)
}
