//! A workflow's parameters on the command line.

use super::secrets;
use crate::{
    diagnostic::similar,
    graph::{Graph, Param},
    store::Objects,
    types::Type,
    units::Money,
    value::{Fields, Value},
};
use clap::{Arg, ArgMatches, Command};
use std::{
    num::{IntErrorKind, ParseIntError},
    path::Path,
};

/// Adds an option for each parameter. A parameter with the name of an option of `run` itself is called `--param-NAME`.
pub fn add(mut command: Command, graph: &Graph) -> Command {
    let own = command.clone();
    let heading = format!("Parameters of `{}`", graph.workflow);
    if let Some(doc) = &graph.doc {
        command = command.before_help(super::explain::text(doc).trim_end().to_owned());
    }
    let secrets = secrets::needed(graph);
    if !secrets.is_empty() {
        let width = secrets.keys().map(String::len).max().unwrap_or(0);
        let lines: String = secrets.iter().map(|(name, whose)| format!("  {name:width$}  for {whose}\n")).collect();
        command = command.after_help(format!("Secrets, from the environment or the file of `--secrets`:\n{lines}"));
    }
    for param in &graph.params {
        let long = option(&own, param);
        if param.secret {
            // It is there to be refused in words that help.
            command = command.arg(Arg::new(id(param)).long(long).hide(true));
            continue;
        }
        let mut arg = Arg::new(id(param))
            .long(long)
            .value_name(param.ty.to_string())
            .help(help(param))
            .help_heading(heading.clone())
            .required(param.default.is_none())
            .allow_negative_numbers(true)
            // `-5s` is no option.
            .allow_hyphen_values(matches!(param.ty, Type::Duration | Type::Money));
        if let Some(default) = &param.default {
            arg = arg.default_value(written(default));
        }
        if param.ty == Type::Bool {
            arg = arg.num_args(0..=1).default_missing_value("true");
        }
        command = command.arg(arg);
    }
    command
}

/// The value of each parameter; `own` is the command before they were added.
pub fn read(matches: &ArgMatches, own: &Command, graph: &Graph, objects: &Objects) -> Result<Fields, String> {
    let mut args = Fields::new();
    for param in &graph.params {
        if param.secret {
            if matches.contains_id(&id(param)) {
                return Err(format!(
                    "`--{}` is a secret, and others see what stands on a command line\nhelp: set the environment \
                     variable `{}`, or name a file with `--secrets`",
                    option(own, param),
                    param.variable()
                ));
            }
            args.insert(param.name.clone(), Value::String(param.variable().into()));
            continue;
        }
        let Some(text) = matches.get_one::<String>(&id(param)) else { continue };
        let given = matches.value_source(&id(param)) == Some(clap::parser::ValueSource::CommandLine);
        let value = match (&param.default, given) {
            (Some(default), false) => default.clone(),
            _ => parse(&param.ty, text, objects)
                .map_err(|error| format!("`--{} {text}`: {error}", option(own, param)))?,
        };
        param.admits(&value).map_err(|error| format!("`--{}` {error}", option(own, param)))?;
        args.insert(param.name.clone(), value);
    }
    Ok(args)
}

fn id(param: &Param) -> String {
    format!("param:{}", param.name)
}

fn option(command: &Command, param: &Param) -> String {
    let taken = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name)) || name == "help";
    if taken(&param.name) { format!("param-{}", param.name) } else { param.name.to_string() }
}

fn help(param: &Param) -> String {
    let mut parts = Vec::new();
    if let Some((low, high)) = &param.range {
        parts.push(format!("from {low} to {high}"));
    }
    if !param.one_of.is_empty() {
        parts.push(format!("one of {}", param.one_of.iter().map(written).collect::<Vec<_>>().join(", ")));
    } else if let Type::Enum { members, .. } = &param.ty {
        parts.push(format!("one of {}", members.join(", ")));
    }
    parts.join("; ")
}

/// A value as it is written on a command line.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::List(_) | Value::Map(_) | Value::Record(_) => value.to_json().to_string(),
        value => value.to_string(),
    }
}

/// Reads a value of a type from the command line: lists, maps and records are JSON, files are paths.
fn parse(ty: &Type, text: &str, objects: &Objects) -> Result<Value, String> {
    let wanted = || format!("expected {}", described(ty));
    let json = || {
        let json = serde_json::from_str(text).map_err(|error| format!("{}: {error}", wanted()))?;
        Value::from_json(&json, ty).map_err(|error| error.to_string())
    };
    Ok(match ty {
        Type::Optional(_) if text == "none" => Value::None,
        Type::Optional(inner) => parse(inner, text, objects)?,
        Type::Bool => Value::Bool(text.parse().map_err(|_| wanted())?),
        Type::Int => Value::Int(text.replace('_', "").parse().map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "it does not fit a whole number of 64 bits".into(),
            _ => wanted(),
        })?),
        Type::Float => Value::Float(text.replace('_', "").parse().map_err(|_| wanted())?),
        Type::String | Type::Uri => Value::String(text.into()),
        Type::Duration => Value::Duration(text.parse().map_err(|error| format!("{error}"))?),
        // A shell would take the `$` for a variable's.
        Type::Money => Value::Money(
            format!("${}", text.trim_start_matches('$')).parse::<Money>().map_err(|error| format!("{error}"))?,
        ),
        Type::Size => Value::Size(text.parse().map_err(|error| format!("{error}"))?),
        Type::Percent => Value::Percent(text.parse().map_err(|error| format!("{error}"))?),
        Type::Enum { members, .. } => {
            let member = members.iter().find(|member| ***member == *text);
            Value::Member(member.cloned().ok_or_else(|| {
                match similar(text, members.iter().map(|member| &**member)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => wanted(),
                }
            })?)
        }
        Type::Artifact => {
            let path = Path::new(text);
            let name = path.file_name().map_or_else(|| text.to_owned(), |name| name.to_string_lossy().into_owned());
            Value::Artifact(Box::new(
                objects.put_file(&name, path).map_err(|error| format!("the file can't be read: {error}"))?,
            ))
        }
        _ => json()?,
    })
}

fn described(ty: &Type) -> String {
    match ty {
        Type::Bool => "`true` or `false`".into(),
        Type::Int => "a whole number".into(),
        Type::Float => "a number".into(),
        Type::Enum { members, .. } => format!("one of {}", members.join(", ")),
        Type::List(_) => format!("a JSON list, `{ty}`"),
        ty => format!("`{ty}` as JSON"),
    }
}
