use super::super::super::failure::Failure;
use super::super::super::poke::poke;
use super::super::super::session::Session;
use super::{Survey, Which, which};
use crate::gateway::pinned::Pin;
use crate::guard::{Examined, State, visible};
use crate::reconcile::{Site, shown};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Left out, it is every tool that is held, but for those that look wrong: each of these is accepted only\n\
by its name. `SERVER/TOOL@DIGEST`, as `lock diff` prints it, accepts what you saw and nothing else."
)]
pub struct Args {
    /// Whose tools, or which
    #[arg(value_name = "SERVER[/TOOL]", value_parser = which)]
    which: Vec<Which>,
    /// Also forget tools that are no longer there
    #[arg(long)]
    prune: bool,
}

pub fn run(session: &mut Session<'_>, args: &Args) -> Result<u8, Failure> {
    let survey = super::survey(session)?;
    survey.check(&args.which)?;
    let (mut pins, left) = chosen(&survey, &args.which)?;
    if args.prune {
        let is_meant =
            |server: &String| args.which.is_empty() || args.which.iter().any(|which| which.server == *server);
        let gone = survey.gone().into_iter().filter(|(server, _)| is_meant(server));
        pins.extend(gone.map(|(server, tool)| Pin { server, tool, digest: None }));
    }
    if !pins.is_empty() {
        let (store, lock) = session.lock("lock accept")?;
        let site = Site { system: session.system, store: &store, lock: &lock };
        survey.pinned.write(&site, "lock accept", &pins).map_err(super::failed)?;
        drop(lock);
        poke(session, "lock");
    }
    for Pin { server, tool, digest } in &pins {
        let what = digest.map_or("forgotten".to_owned(), |digest| format!("accepted as {}", digest.short()));
        session.out.data(format!("{server}/{}: {what}", visible(tool)));
    }
    for (server, one) in &left {
        let why = one.reasons.join("; ");
        session.out.complain(format!("{server}/{}: still held: {why}", visible(&one.tool)));
    }
    if pins.is_empty() && left.is_empty() {
        session.out.say(format!("Every tool is as {} has it.", shown(session.system, survey.pinned.path())));
    }
    if left.is_empty() {
        return Ok(0);
    }
    session.out.say(
        "Look at them with `mcpkeel lock diff`; `mcpkeel lock accept SERVER/TOOL` accepts one all the same.",
    );
    Ok(6)
}

/// What is accepted, and what looks too wrong for that.
type Chosen<'s> = (Vec<Pin>, Vec<(&'s str, &'s Examined)>);

fn chosen<'s>(survey: &'s Survey, asked: &[Which]) -> Result<Chosen<'s>, Failure> {
    let (mut pins, mut left) = (Vec::new(), Vec::new());
    for server in &survey.servers {
        let name = server.seen.server.as_str();
        for one in server.examined.iter().filter(|one| one.state != State::Accepted) {
            let by_name = asked.iter().find(|which| which.tool.is_some() && which.means(name, one));
            let is_meant = asked.is_empty() || asked.iter().any(|which| which.means(name, one));
            if let Some(which) = by_name {
                check_digest(which, one)?;
            }
            let is_fine = by_name.is_some() || !matches!(one.state, State::Suspicious { .. });
            match one.digest {
                Some(digest) if is_meant && is_fine => {
                    pins.push(Pin { server: name.to_owned(), tool: one.tool.clone(), digest: Some(digest) });
                }
                _ if is_meant => left.push((name, one)),
                _ => {}
            }
        }
    }
    Ok((pins, left))
}

/// What was shown must be what is accepted.
fn check_digest(which: &Which, one: &Examined) -> Result<(), Failure> {
    let (Some(wanted), Some(digest)) = (&which.digest, &one.digest) else { return Ok(()) };
    if digest.hex().starts_with(wanted.as_str()) {
        return Ok(());
    }
    Err(Failure::Refused {
        message: format!(
            "{}/{} is no longer what you saw: it is {} now",
            which.server,
            visible(&one.tool),
            digest.short()
        ),
        hint: "look at it again with `mcpkeel lock diff`; nothing was accepted".to_owned(),
    })
}
