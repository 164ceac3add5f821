use super::*;
use std::collections::HashMap;

struct Variables(HashMap<&'static str, &'static str>);

impl Environment for Variables {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }
}

fn load(
    file: &str,
    variables: &[(&'static str, &'static str)],
    flags: &[&str],
) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), file).unwrap();
    let root = dir.path().to_str().unwrap().to_owned();
    let flags = ["conveyord", "--state-root", &root].into_iter().chain(flags.iter().copied());
    let variables = Variables(variables.iter().copied().collect());
    Config::load(&Flags::parse_from(flags.collect::<Vec<_>>()), &variables)
}

#[test]
fn a_flag_comes_before_the_environment_before_the_file_before_the_default() {
    let file = "dispatch = false\nreceipt_timeout_ms = 7\n";
    let on = ("CONVEYOR_DISPATCH", "on");
    let of = |config: &Config| (config.dispatch.value, config.dispatch.source);
    assert_eq!(of(&load("", &[], &[]).unwrap()), (true, Source::Default));
    assert_eq!(of(&load(file, &[], &[]).unwrap()), (false, Source::File));
    assert_eq!(of(&load(file, &[on], &[]).unwrap()), (true, Source::Environment));
    assert_eq!(of(&load(file, &[on], &["--no-dispatch"]).unwrap()), (false, Source::Flag));
    assert_eq!(load(file, &[], &[]).unwrap().receipt_timeout(), Duration::from_millis(7));
}

#[test]
fn what_is_not_valid_is_named() {
    let error = load("dispach = false\n", &[], &[]).unwrap_err().to_string();
    assert!(error.contains("config.toml") && error.contains("dispach"), "{error}");
    let error = load("", &[("CONVEYOR_WATCH", "perhaps")], &[]).unwrap_err().to_string();
    assert!(error.contains("CONVEYOR_WATCH") && error.contains("perhaps"), "{error}");
}

#[test]
fn a_database_selects_its_own_state_root() {
    let flags = Flags { database: Some("/x/other.db".into()), ..Flags::default() };
    let config = Config::load(&flags, &Variables(HashMap::new())).unwrap();
    assert_eq!(
        (config.files.root.as_str(), config.files.database.as_str()),
        ("/x/other.db.d", "/x/other.db")
    );
}

const GUIDE: &str = "../docs/guide.md";
const BEGIN: &str = "<!-- made of conveyord/src/config/settings.rs; `UPDATE_DOCS=1 cargo test --workspace --locked --lib -- config` \
                     rewrites it -->\n";
const END: &str = "<!-- end -->\n";

fn table() -> String {
    let mut table = "| `config.toml` | environment | flag | default | meaning |\n|---|---|---|---|---|\n\
        | - | `CONVEYOR_STATE_ROOT`, `WORKERCTL_STATE_ROOT` | `--state-root` | see below | the state root |\n\
        | - | - | `--database` | `conveyor.db` in it | the database file |\n"
        .to_owned();
    for (setting, default) in settings::all() {
        let words = if ["true", "false"].contains(&default.as_str()) { " (`on`, `off`)" } else { "" };
        let flag = setting.flag.map_or("-".to_owned(), |flag| format!("`{flag}`"));
        let Setting { key, variable, meaning, .. } = setting;
        table.push_str(&format!("| `{key}` | `{variable}`{words} | {flag} | `{default}` | {meaning} |\n"));
    }
    table
}

#[test]
fn the_guide_lists_the_settings_with_their_defaults() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(GUIDE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (written, after) = rest.split_once(END).expect("the table has an end");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(written == table, "{GUIDE} is out of date: UPDATE_DOCS=1 rewrites it");
    }
}

#[test]
fn the_registry_has_every_setting_and_what_it_says_of_each_holds() {
    // What the file knows is named when a key is wrong.
    let known = load("nothing = 1\n", &[], &[]).unwrap_err().to_string();
    let shown = serde_json::to_value(load("", &[], &[]).unwrap().shown()).unwrap();
    let flags = <Flags as clap::CommandFactory>::command();
    let settings = settings::all();
    for (setting, default) in &settings {
        let key = setting.key;
        assert!(known.contains(&format!("`{key}`")), "{known}");
        let value = &shown[key]["value"];
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!((&value, &shown[key]["source"]), (default, &"default".into()), "{key}");
        // A value that no default is, and that each type takes.
        let other = if default == "true" { "off" } else { "77" };
        let set = serde_json::to_value(load("", &[(setting.variable, other)], &[]).unwrap().shown()).unwrap();
        assert_eq!(set[key]["source"], "environment", "{}", setting.variable);
        let flag = setting.flag.map(|flag| flag.trim_start_matches("--"));
        let known = |flag: &str| flags.get_arguments().any(|argument| argument.get_long() == Some(flag));
        assert!(flag.is_none_or(known), "{flag:?}");
    }
    assert_eq!(known.matches('`').count() / 2 - 1, settings.len(), "{known}");
    let sourced = shown.as_object().unwrap().values().filter(|value| value.get("source").is_some());
    assert_eq!(sourced.count() - 1, settings.len(), "beside the state root: {shown:#}");
}

/// The number that a text goes on with, if it does.
fn number_at(text: &str) -> Option<&str> {
    let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

#[test]
fn a_default_that_a_page_names_is_the_one_that_holds() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages =
        pages.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|it| it == "md"));
    let mut found = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for (setting, default) in settings::all() {
            for (at, name) in text.match_indices(&format!("`{}` (", setting.key)) {
                let Some(number) = number_at(&text[at + name.len()..]) else { continue };
                assert_eq!(number, default, "{} in {}", setting.key, page.display());
                found += 1;
            }
        }
    }
    assert!(found > 0, "a page names one in brackets");
}
