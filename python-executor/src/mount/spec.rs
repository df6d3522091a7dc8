//! Which servers there are to be: by flags, and by the file that other MCP clients read as well.

use std::{collections::BTreeMap, path::PathBuf};

use ipc::program::Failure;
use serde::Deserialize;

/// One server, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) command: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) directory: Option<PathBuf>,
}

/// The servers of the flags, then those of the file.
pub(crate) fn specs(flags: &[Spec], file: Option<&PathBuf>) -> Result<Vec<Spec>, Failure> {
    let mut specs = flags.to_vec();
    if let Some(path) = file {
        let wrong = |why: String| {
            Failure::usage(
                format!("{}: {why}", path.display()),
                "write {\"mcpServers\": {\"NAME\": {\"command\": \"…\", \"args\": [\"…\"]}}}",
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        specs.extend(read(&text).map_err(wrong)?);
    }
    let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(Failure::usage(
            format!("there are two MCP servers of the name {name}"),
            "give each a name of its own",
        ));
    }
    Ok(specs)
}

/// `NAME=command argument …`, its words split as a shell would.
pub(crate) fn flag(text: &str) -> Result<Spec, String> {
    let (name, line) = text
        .split_once('=')
        .ok_or("write NAME=command argument …")?;
    let words = shlex::split(line).ok_or("a quotation mark has no other")?;
    let mut words = words.into_iter();
    let command = words.next().ok_or("write a command behind NAME=")?;
    Ok(Spec {
        name: checked(name)?,
        command,
        arguments: words.collect(),
        environment: BTreeMap::new(),
        directory: None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    mcp_servers: BTreeMap<String, Written>,
}

/// Other clients have more keys, which mean nothing here.
#[derive(Deserialize)]
struct Written {
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<PathBuf>,
    url: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    disabled: bool,
}

fn read(text: &str) -> Result<Vec<Spec>, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let wanted = file
        .mcp_servers
        .into_iter()
        .filter(|(_, one)| !one.disabled);
    wanted.map(|(name, one)| spec(&name, one)).collect()
}

fn spec(name: &str, written: Written) -> Result<Spec, String> {
    let name = checked(name)?;
    let kind = written.kind.as_deref().unwrap_or("stdio");
    if written.url.is_some() || kind != "stdio" {
        return Err(format!(
            "{name} is reached by HTTP, and only servers that are started here can be confined: give it a command, or leave it out"
        ));
    }
    Ok(Spec {
        command: written
            .command
            .ok_or_else(|| format!("{name} has no command"))?,
        name,
        arguments: written.args,
        environment: written.env,
        directory: written.cwd,
    })
}

/// It becomes the beginning of the tools' names.
fn checked(name: &str) -> Result<String, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 32 || !name.chars().all(letters) || name.contains("__") {
        return Err(format!(
            "{name:?} cannot be a server's name: letters, digits, - and single _, 32 at most"
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flags_words_are_split_as_a_shell_would() {
        let spec = flag(r#"notes=/opt/my\ notes --title 'two words' --empty """#).unwrap();
        assert_eq!(
            (spec.name.as_str(), spec.command.as_str()),
            ("notes", "/opt/my notes")
        );
        assert_eq!(spec.arguments, ["--title", "two words", "--empty", ""]);
        for (text, why) in [
            ("notes", "write NAME=command"),
            ("notes=", "write a command behind NAME="),
            ("notes='x", "a quotation mark has no other"),
            ("my notes=x", "cannot be a server's name"),
            ("a__b=x", "cannot be a server's name"),
        ] {
            assert!(flag(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn the_file_of_other_clients_is_read_and_what_is_reached_by_http_refused_by_name() {
        let good = r#"{"mcpServers": {
            "a": {"command": "x", "args": ["1"], "env": {"K": "v"}, "cwd": "/srv", "autoApprove": []},
            "b": {"url": "http://localhost", "disabled": true}
        }, "other": 1}"#;
        let [a] = &read(good).unwrap()[..] else {
            panic!("one is disabled")
        };
        assert_eq!(
            (a.name.as_str(), a.arguments.as_slice()),
            ("a", &["1".to_owned()][..])
        );
        assert_eq!(a.environment.get("K").map(String::as_str), Some("v"));
        assert_eq!(a.directory, Some("/srv".into()));
        for (entry, why) in [
            (r#"{"url": "http://localhost"}"#, "far is reached by HTTP"),
            (
                r#"{"type": "sse", "command": "x"}"#,
                "far is reached by HTTP",
            ),
            ("{}", "far has no command"),
            (r#"{"command": 1}"#, "invalid type"),
        ] {
            let text = format!(r#"{{"mcpServers": {{"far": {entry}}}}}"#);
            assert!(read(&text).unwrap_err().contains(why), "{entry}");
        }
    }

    #[test]
    fn a_name_stands_for_one_server() {
        let twice = [
            flag("a=x").unwrap(),
            flag("b=x").unwrap(),
            flag("a=y").unwrap(),
        ];
        let failure = format!("{:?}", specs(&twice, None).unwrap_err());
        assert!(
            failure.contains("two MCP servers of the name a"),
            "{failure}"
        );
    }
}
