//! `/_control`: the faults and the log over HTTP, for a person with curl. Not logged, not limited.
//!
//! `GET /_control` gives the log of all accounts. `POST /_control` takes one JSON object, or a list of them:
//! `{"stream":"1","fault":{"stall":{"bytes":100000}},"times":1}`, `{"account":"demo","list_fault":"hang","list":"live"}`,
//! `{"stream":"1","now":"rst"}`, `{"account":"demo","clear":true}`, `{"at_accept":"reset"}`.

use serde::Deserialize;

use crate::board::Target;
use crate::fault::{Fault, List, ListFault, Now};
use crate::http::{Answer, Head};
use crate::provider::{AtAccept, Shared};

/// One command; what is absent is left alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    account: Option<String>,
    stream: Option<String>,
    fault: Option<Fault>,
    times: Option<u32>,
    list_fault: Option<ListFault>,
    list: Option<List>,
    now: Option<Now>,
    #[serde(default)]
    clear: bool,
    at_accept: Option<AtAccept>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Commands {
    One(Box<Command>),
    Many(Vec<Command>),
}

pub(crate) fn answer(shared: &Shared, head: &Head) -> Answer {
    if head.method == "GET" {
        return match serde_json::to_vec_pretty(&shared.logs.all()) {
            Ok(json) => Answer::new(200, "application/json", json),
            Err(error) => Answer::new(500, "text/plain", error.to_string()),
        };
    }
    let commands = match serde_json::from_slice::<Command>(&head.body) {
        Ok(command) => vec![command],
        // What is wrong with a single command is worth telling; "no variant matched" is not.
        Err(error) => match serde_json::from_slice::<Commands>(&head.body) {
            Ok(Commands::Many(commands)) => commands,
            Ok(Commands::One(command)) => vec![*command],
            Err(_) => return Answer::new(400, "text/plain", format!("{error}\n")),
        },
    };
    for command in commands {
        if let Err(wrong) = obey(shared, command) {
            return Answer::new(400, "text/plain", format!("{wrong}\n"));
        }
    }
    Answer::new(200, "text/plain", "done\n")
}

fn obey(shared: &Shared, command: Command) -> Result<(), &'static str> {
    let target = match (&command.stream, &command.account) {
        (Some(stream), _) => Some(Target::Stream(stream.clone())),
        (None, Some(account)) => Some(Target::Account(account.clone())),
        (None, None) => None,
    };
    const WHOM: &str = "say which: \"account\" or \"stream\"";
    if command.clear {
        shared.board.clear(target.as_ref().ok_or(WHOM)?);
        if let Some(account) = &command.account {
            shared.board.clear_lists(account);
        }
    }
    if let Some(fault) = command.fault {
        shared.board.set(target.ok_or(WHOM)?, fault, command.times);
    }
    if let Some(fault) = command.list_fault {
        let account = command.account.as_deref().ok_or("say which \"account\"")?;
        shared.board.set_list(account, command.list, fault, command.times);
    }
    if let Some(now) = command.now {
        shared
            .door
            .order(command.account.as_deref(), command.stream.as_deref(), now);
    }
    if let Some(what) = command.at_accept {
        shared.set_at_accept(what);
    }
    Ok(())
}
