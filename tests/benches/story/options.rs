//! What is asked of a story on its command line.

/// Where the threads of Codex live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// Each terminal is a process of its own, which holds its thread.
    Single,
    /// The terminals share one app-server daemon, which holds all threads.
    Shared,
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub seconds: u64,
    pub model: Model,
    pub seed: u64,
    pub pairs: usize,
    /// The version of Codex; the newest that is here when none is named.
    pub version: Option<String>,
}

pub(crate) const USAGE: &str = "\
usage: make story [MINUTES=30] [CODEX_MODEL=single|shared] [STORY=\"OPTION...\"]

--minutes N       how long (--seconds N likewise)
--model MODEL     single: a process per terminal; shared: Codex's own daemon holds all threads
--seed N          repeats the choices of another story
--pairs N         how many workers with their managers (3)
--version V       version of Codex (the newest that is here)
";

impl Options {
    /// None when there is nothing to do.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options =
            Self { seconds: 0, model: Model::Single, seed: fastrand::u64(..), pairs: 3, version: None };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            // What cargo tells every bench and test.
            if argument == "--bench" || argument == "--test" {
                continue;
            }
            let value =
                arguments.next().ok_or_else(|| format!("{argument} is no option, or lacks its value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{argument}: {value} is no number"));
            match argument.as_str() {
                "--minutes" => options.seconds = number()? * 60,
                "--seconds" => options.seconds = number()?,
                "--seed" => options.seed = number()?,
                "--pairs" => options.pairs = usize::try_from(number()?.max(1)).unwrap_or(1),
                "--version" => options.version = Some(value),
                "--model" if value == "single" => options.model = Model::Single,
                "--model" if value == "shared" => options.model = Model::Shared,
                _ => return Err(format!("{argument} {value} is not understood")),
            }
        }
        // `cargo test --all-targets` and `cargo bench` run every bench: a story is asked for by its length.
        Ok((options.seconds > 0).then_some(options))
    }
}
