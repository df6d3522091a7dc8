use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::json;

use super::{
    Approval, Declared, Deployment, Endpoint, Policy, deployment::BadPolicy, effective, lines_for,
};

fn file(text: &str) -> Deployment {
    Deployment::parse(text, Some(Path::new("/base"))).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn declares(value: &serde_json::Value) -> Declared {
    Declared::from_json(value).unwrap()
}

fn holds(text: &str, declared: &serde_json::Value) -> (Policy, String) {
    let (policy, short) = effective(&file(text), Some("t"), &declares(declared));
    let lines = if short.is_empty() {
        String::new()
    } else {
        lines_for(Some("t"), &short)
    };
    (policy, lines)
}

fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn paths(texts: &[&str]) -> Vec<PathBuf> {
    texts.iter().map(PathBuf::from).collect()
}

#[test]
fn nobody_says_anything_and_the_defaults_hold() {
    let (policy, lines) = holds("", &json!({}));
    assert_eq!((policy, lines.as_str()), (Policy::default(), ""));
}

#[test]
fn the_lower_limit_holds_whoever_says_it() {
    let with = |text: &str, flag: Option<u64>, declared: &serde_json::Value| {
        let mut deployment = file(text);
        deployment.wall_ms = flag;
        let (policy, short) = effective(&deployment, Some("t"), &declares(declared));
        (
            policy.wall_ms,
            short.first().map(|short| short.line.clone()),
        )
    };
    let tool = "[tools.t]\nwall_ms = 9000";
    let default = "[default]\nwall_ms = 8000";
    let both = format!("{tool}\n{default}");
    let asks = |ms: u64| json!({ "wall_ms": ms });
    let none = json!({});
    // Nothing said beyond; then the file, the tool's part before the default; the flag bounds the file.
    assert_eq!(with("", Some(7000), &none), (7000, None));
    assert_eq!(with(default, None, &none), (8000, None));
    assert_eq!(with(&both, None, &none), (9000, None));
    assert_eq!(with(&both, Some(7000), &none), (7000, None));
    assert_eq!(with(&both, Some(9500), &none), (9000, None));
    // A tool lowers and never raises.
    assert_eq!(with(&both, None, &asks(10)), (10, None));
    let line = |text: &str| Some(text.to_owned());
    assert_eq!(with("", None, &asks(6000)), (5000, line("wall_ms = 6000")));
    assert_eq!(
        with(tool, Some(5000), &asks(9500)),
        (5000, line("wall_ms = 9500 # and the flag --wall-ms 9500"))
    );
}

#[test]
fn a_grant_is_what_deployment_and_tool_both_name() {
    let text = r#"
        [default]
        environment = ["LANG", "TOKEN"]
        [tools.t]
        read = ["/data", "/etc/hosts"]
        write = ["/out/t"]
        network = ["*.example.com:443", "127.0.0.1:8080"]
    "#;
    let (policy, lines) = holds(
        text,
        &json!({
            "read": ["/data/a/b", "/data/c", "/etc"],
            "write": ["/out"],
            "network": ["api.example.com:443", "example.com:443", "127.0.0.1:8080"],
            "environment": ["TOKEN"],
        }),
    );
    assert_eq!(policy.read, paths(&["/data/a/b", "/data/c", "/etc/hosts"]));
    assert_eq!(policy.write, paths(&["/out/t"]));
    assert_eq!(
        policy.network,
        endpoints(&["127.0.0.1:8080", "api.example.com:443"])
    );
    assert_eq!(policy.environment, ["TOKEN"]);
    assert_eq!(
        lines,
        "[tools.t]\n\
         read = [\"/data\", \"/etc\", \"/etc/hosts\"]\n\
         write = [\"/out\", \"/out/t\"]\n\
         network = [\"127.0.0.1:8080\", \"example.com:443\", \"*.example.com:443\"]"
    );
}

#[test]
fn what_only_the_deployment_names_is_granted() {
    let (policy, lines) = holds("[default]\nread = [\"/data\"]", &json!({"wall_ms": 1}));
    assert_eq!((policy.read, lines.as_str()), (paths(&["/data"]), ""));
}

#[test]
fn what_only_the_tool_names_is_not_granted_and_the_cure_is_told() {
    let declared = json!({"network": ["api.example.com:443"], "approval": "auto"});
    let (policy, lines) = holds("", &declared);
    assert_eq!(policy, Policy::default());
    assert_eq!(
        lines,
        "[tools.t]\napproval = \"auto\"\nnetwork = [\"api.example.com:443\"]"
    );
    let (policy, lines) = holds(&lines, &declared);
    assert_eq!(policy.network, endpoints(&["api.example.com:443"]));
    assert_eq!((policy.approval, lines.as_str()), (Approval::Auto, ""));
}

#[test]
fn declared_grants_hold_where_the_deployment_says_so_and_is_silent() {
    let declared =
        json!({"network": ["a.b:1"], "read": ["/x"], "wall_ms": 9000, "approval": "auto"});
    let (policy, lines) = holds("grant_declared = true\n[default]\nread = []", &declared);
    assert_eq!(policy.network, endpoints(&["a.b:1"]));
    assert_eq!((policy.read, policy.wall_ms), (vec![], 5000));
    assert_eq!(policy.approval, Approval::Ask);
    assert_eq!(
        lines,
        "[tools.t]\nwall_ms = 9000\napproval = \"auto\"\nread = [\"/x\"]"
    );
}

#[test]
fn a_person_is_asked_unless_both_say_otherwise() {
    let approval = |text: &str, declared: serde_json::Value| holds(text, &declared).0.approval;
    let auto = "[tools.t]\napproval = \"auto\"";
    assert_eq!(approval("", json!({})), Approval::Ask);
    assert_eq!(approval(auto, json!({})), Approval::Auto);
    assert_eq!(approval(auto, json!({"approval": "ask"})), Approval::Ask);
    assert_eq!(approval("", json!({"approval": "auto"})), Approval::Ask);
}

#[test]
fn a_snippet_has_its_own_section_and_the_default() {
    let deployment = file("[default]\ncpu_s = 3\n[code]\nwall_ms = 100\n[tools.code]\nwall_ms = 7");
    let (policy, _) = effective(&deployment, None, &Declared::default());
    assert_eq!((policy.wall_ms, policy.cpu_s), (100, 3));
}

#[test]
fn what_can_be_written_is_not_named_again_to_be_read() {
    let text = "[tools.t]\nread = [\"/a/b\", \"/c\"]\nwrite = [\"/a\"]";
    let (policy, lines) = holds(text, &json!({"read": ["/a/b", "/c"]}));
    assert_eq!(
        (policy.read, policy.write),
        (paths(&["/c"]), paths(&["/a"]))
    );
    assert_eq!(lines, "");
}

#[test]
fn paths_begin_at_the_file_and_the_home_and_follow_no_link() {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    let room = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr", room.path().join("link")).unwrap();
    let path = room.path().join("policy.toml");
    std::fs::write(
        &path,
        "[default]\nread = [\"link/x\", \"./a/../b/\", \"../c\", \"~/d\"]\nnetwork = [\"unix:s\", \"unix:~/s\"]",
    )
    .unwrap();
    let deployment = Deployment::load(&path).unwrap();
    let (policy, _) = effective(&deployment, None, &Declared::default());
    let mut wanted = vec![
        room.path().join("link/x"),
        room.path().join("b"),
        room.path().parent().unwrap().join("c"),
        home.join("d"),
    ];
    wanted.sort();
    assert_eq!(policy.read, wanted);
    let mut sockets = vec![
        Endpoint::Unix(room.path().join("s")),
        Endpoint::Unix(home.join("s")),
    ];
    sockets.sort();
    assert_eq!(policy.network, sockets);
}

#[test]
fn a_wrong_file_is_told_with_the_line_and_the_nearest_key() {
    let cases = [
        (
            "[default]\n\nwal_ms = 5",
            3,
            "there is no key \"wal_ms\"; did you mean wall_ms?",
        ),
        (
            "[tool.x]",
            1,
            "there is no key \"tool\"; did you mean tools?",
        ),
        (
            "\nwall_ms = 5",
            2,
            "wall_ms stands in a section: write [default] above it",
        ),
        (
            "[tools.x]\nzzz = 1",
            2,
            "there is no key \"zzz\"; there are: wall_ms, ",
        ),
        (
            "[tools.x]\ncpu_s = 0",
            2,
            "cpu_s: it is 0, and can be from 1 to 86400",
        ),
        ("[tools.x]\nwall_ms = -1", 2, "invalid value: integer `-1`"),
        (
            "[code]\ncpu_s = 1\nread = [\n\"/a\", 5]",
            4,
            "invalid type: integer `5`, expected a string",
        ),
        ("[code]\nread = [\"/\"]", 2, "cannot be granted"),
        ("[code]\nread = [\"/a/../proc/1\"]", 2, "cannot be granted"),
        ("[code]\nread = [\"~root/x\"]", 2, "write ~/"),
        (
            "[code]\nnetwork = [\"host\"]",
            2,
            "write host:port or unix:/path",
        ),
        (
            "[code]\nenvironment = [\"A=B\"]",
            2,
            "is no variable's name",
        ),
        (
            "[code]\napproval = \"never\"",
            2,
            "unknown variant `never`, expected `auto` or `ask`",
        ),
        ("grant_declared = 1", 1, "grant_declared is true or false"),
        ("[default]\ncpu_s = 1\ncpu_s = 2", 3, "duplicate key"),
        ("default = 3", 1, "this is a section"),
        ("[default", 1, "unclosed table"),
    ];
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("p.toml");
    for (text, line, words) in cases {
        std::fs::write(&path, text).unwrap();
        match Deployment::load(&path).unwrap_err() {
            BadPolicy::Wrong { line: at, why, .. } => {
                assert!(why.contains(words), "{text:?}: {why}");
                assert_eq!(at, line, "{text:?}: {why}");
            }
            other @ BadPolicy::Unreadable { .. } => panic!("{text:?}: {other}"),
        }
    }
    let error = Deployment::load(&room.path().join("none.toml")).unwrap_err();
    assert!(error.to_string().contains("none.toml"), "{error}");
}

#[test]
fn a_wrong_declaration_is_told() {
    for (value, words) in [
        (json!({"netwrk": []}), "did you mean network?"),
        (json!({"read": ["data"]}), "a path begins with / or ~"),
        (json!({"wall_ms": 0}), "it is 0"),
        (
            json!({"network": vec!["a.b:1"; 1001]}),
            "more than 1000 entries",
        ),
        (
            json!([1, 1, 1, 1, 1, [], [], [], [], "auto"]),
            "a policy is an object",
        ),
        (json!("x"), "a policy is an object"),
    ] {
        let error = Declared::from_json(&value).unwrap_err();
        assert!(error.contains(words), "{value}: {error}");
    }
}

#[test]
fn an_address_has_one_spelling() {
    for (text, shown) in [
        ("Example.COM:443", "example.com:443"),
        ("example.com.:443", "example.com:443"),
        ("*.Example.com:443", "*.example.com:443"),
        ("[0:0::1]:80", "[::1]:80"),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ("unix:/a/./b/../c", "unix:/a/c"),
    ] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
    }
    for text in [
        "",
        "host",
        "host:",
        ":80",
        "host:0",
        "host:65536",
        "host:+80",
        "host:080",
        "a..b:1",
        ".a:1",
        "a..:1",
        "*:1",
        "a.*.b:1",
        "*.*.a:1",
        "127.1:80",
        "a.0x7f:1",
        "2130706433:80",
        "::1:80",
        "[::1:80",
        "[fe80::1%eth0]:80",
        "ho st:1",
        "h\u{e4}us:1",
        "unix:rel",
        "unix:",
        "http://a:1",
        "a/b:1",
        "user@a:1",
    ] {
        assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
    }
}

#[test]
fn a_star_stands_for_every_name_below_and_no_other() {
    let covers = |a: &str, b: &str| {
        let [a, b] = [a, b].map(|text| text.parse::<Endpoint>().unwrap());
        a.covers(&b)
    };
    assert!(covers("*.a.b:1", "x.a.b:1"));
    assert!(covers("*.a.b:1", "x.y.a.b:1"));
    assert!(covers("*.a.b:1", "*.a.b:1"));
    assert!(covers("*.a.b:1", "*.x.a.b:1"));
    assert!(!covers("*.a.b:1", "a.b:1"));
    assert!(!covers("*.a.b:1", "xa.b:1"));
    assert!(!covers("*.a.b:1", "x.a.b:2"));
    assert!(!covers("x.a.b:1", "*.a.b:1"));
    assert!(!covers("*.x.a.b:1", "*.a.b:1"));
}

fn lists() -> impl Strategy<Value = serde_json::Value> {
    let list = |texts: &'static [&'static str]| {
        proptest::option::of(proptest::sample::subsequence(texts, 0..=texts.len()))
    };
    let number = || proptest::option::of(1..20u64);
    (
        (number(), number(), number()),
        list(&["/a", "/a/b", "/a/b/c", "/a/bc", "/d"]),
        list(&["/a", "/a/b", "/e", "/e/f"]),
        list(&["*.x:1", "a.x:1", "*.a.x:1", "b.a.x:1", "a.x:2", "unix:/s"]),
        list(&["A", "B", "C"]),
        list(&["auto"]),
    )
        .prop_map(|((wall, cpu, memory), read, write, network, environment, approval)| {
            let mut object = json!({
                "wall_ms": wall, "cpu_s": cpu, "memory_mib": memory, "read": read, "write": write,
                "network": network, "environment": environment,
                "approval": approval.map(|auto| if auto.is_empty() { "ask" } else { "auto" }),
            });
            object.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            object
        })
}

/// A section of a policy file with these keys.
fn as_toml(object: &serde_json::Value) -> String {
    let table: toml::Table = serde_json::from_value(object.clone()).unwrap();
    toml::to_string(&table).unwrap()
}

fn under(path: &Path, roots: Option<&[PathBuf]>) -> bool {
    roots.is_none_or(|roots| roots.iter().any(|root| path.starts_with(root)))
}

/// Whether a policy allows nothing that a section does not, where the section speaks. `silence`: what a list that the
/// section does not have allows.
fn within(policy: &Policy, object: &serde_json::Value, silence_is_all: bool) -> bool {
    let number = |key: &str| object.get(key).and_then(serde_json::Value::as_u64);
    let texts = |key: &str| -> Option<Vec<String>> {
        match object.get(key) {
            Some(list) => Some(serde_json::from_value(list.clone()).unwrap()),
            None if silence_is_all => None,
            None => Some(Vec::new()),
        }
    };
    let path_list =
        |key: &str| texts(key).map(|list| list.iter().map(PathBuf::from).collect::<Vec<_>>());
    let (read, write) = (path_list("read"), path_list("write"));
    let limits = number("wall_ms").is_none_or(|most| policy.wall_ms <= most)
        && number("cpu_s").is_none_or(|most| policy.cpu_s <= most)
        && number("memory_mib").is_none_or(|most| policy.memory_mib <= most);
    limits
        && policy.read.iter().all(|path| under(path, read.as_deref()))
        && policy
            .write
            .iter()
            .all(|path| under(path, write.as_deref()))
        && policy.network.iter().all(|endpoint| {
            texts("network").is_none_or(|list| {
                list.iter()
                    .any(|text| text.parse::<Endpoint>().unwrap().covers(endpoint))
            })
        })
        && policy
            .environment
            .iter()
            .all(|name| texts("environment").is_none_or(|list| list.contains(name)))
        && (policy.approval == Approval::Ask
            || object
                .get("approval")
                .map_or(silence_is_all, |said| said == "auto"))
}

proptest! {
    #[test]
    fn the_effective_policy_is_never_wider_than_what_either_says(
        default in lists(), own in lists(), declared in lists(), grant_declared: bool
    ) {
        let text = format!(
            "grant_declared = {grant_declared}\n[default]\n{}[tools.t]\n{}", as_toml(&default), as_toml(&own)
        );
        let (policy, short) = effective(&file(&text), Some("t"), &declares(&declared));
        let mut deployment = default.clone();
        deployment.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        prop_assert!(within(&policy, &declared, true), "{policy:?} is wider than declared");
        if !grant_declared {
            prop_assert!(within(&policy, &deployment, false), "{policy:?} is wider than deployed");
        }
        // The lines that are told do what they say.
        let mut cured = own.as_object().unwrap().clone();
        let lines = lines_for(Some("t"), &short);
        let section: toml::Table = lines.parse().unwrap();
        let told = section.get("tools").and_then(|tools| tools.get("t")).unwrap();
        cured.extend(serde_json::to_value(told).unwrap().as_object().unwrap().clone());
        let text = format!(
            "grant_declared = {grant_declared}\n[default]\n{}[tools.t]\n{}",
            as_toml(&default), as_toml(&cured.into())
        );
        let (_, short) = effective(&file(&text), Some("t"), &declares(&declared));
        prop_assert!(short.is_empty(), "{short:?} in spite of {lines}");
    }
}

#[test]
fn a_policy_keeps_its_value_through_json() {
    let policy = holds(
        "[tools.t]\nread = [\"/a\"]\nnetwork = [\"[::1]:80\", \"*.a.b:1\", \"unix:/s\"]",
        &json!({}),
    )
    .0;
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    assert!(
        text.contains("\"network\":[\"[::1]:80\",\"*.a.b:1\",\"unix:/s\"]"),
        "{text}"
    );
}

#[test]
fn a_servers_part_gives_it_what_it_says_and_what_holds_for_all_tools_gives_it_nothing() {
    let text = "[default]\nread = [\"/all\"]\nwall_ms = 1\n\
        [mcp.notes]\nread = [\"notes\"]\nprocesses = 9\nmemory_mib = 100\napproval = \"auto\"\n";
    let mut deployment = file(text);
    let notes = deployment.of_server("notes");
    assert_eq!(notes.policy.read, paths(&["/base/notes"]));
    assert_eq!((notes.processes, notes.policy.memory_mib), (9, 100));
    assert_eq!(notes.policy.approval, Approval::Auto);
    assert_eq!(deployment.named_servers().collect::<Vec<_>>(), ["notes"]);
    let other = deployment.of_server("other");
    let nothing = Policy {
        wall_ms: 30_000,
        ..Policy::default()
    };
    assert_eq!((other.policy, other.processes), (nothing, 64));
    deployment.wall_ms = Some(700);
    assert_eq!(deployment.of_server("other").policy.wall_ms, 700);
}

#[test]
fn what_a_server_cannot_be_given_is_told_with_its_line() {
    for (line, why) in [
        ("network = [\"a:1\"]", "an MCP server has no network"),
        ("processes = 0", "processes: it is a number from 1 to 4096"),
        ("proceses = 3", "did you mean processes?"),
        ("output_kib = 3", "there is no key \"output_kib\""),
        ("wall_ms = 0", "wall_ms: it is 0"),
    ] {
        let text = format!("[mcp.notes]\n{line}\n");
        let (at, said) = Deployment::parse(&text, None).unwrap_err();
        assert!(said.contains(why), "{line}: {said}");
        assert!(at.start >= 12, "{line}: {at:?}");
    }
}
