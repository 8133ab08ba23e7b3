//! `evenkeel [path/to.conf | -] [--setting value ...]`: the server's command line.
//!
//! Settings come from the file, then from the arguments, which are lines of that file written differently; later ones win.
//! Nothing else happens here: the settings are the engine's, the loop is the server's.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use resp_server::engine::{LogLevel, Settings};
use resp_server::server::Server;
use tracing::level_filters::LevelFilter;

mod config;
mod heap;

/// A Redis-protocol-compatible key-value store whose replies no large value stalls.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, override_usage = "evenkeel [FILE | -] [--SETTING VALUE...]...")]
#[command(after_help = "Examples:
  evenkeel                                     with the default settings
  evenkeel evenkeel.conf                       settings from a file
  evenkeel evenkeel.conf --port 6380           a flag overrides the file
  echo 'maxmemory 1gb' | evenkeel - --bind 127.0.0.1 -::1")]
struct Arguments {
    /// A configuration file in the syntax of redis.conf, or - for standard input; then any setting with its values, as
    /// --port 6380
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FILE | --SETTING VALUE...")]
    words: Vec<OsString>,
}

fn main() -> ExitCode {
    heap::set_up();
    let words: Vec<Vec<u8>> = Arguments::parse().words.into_iter().map(OsString::into_vec).collect();
    match settings(&words).and_then(|(settings, file)| serve(settings, file).map_err(|error| format!("{error:#}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The settings that the arguments make and the path of their file, empty if there is none; or what to tell the user about them.
fn settings(words: &[Vec<u8>]) -> Result<(Settings, String), String> {
    let (file, flags) = config::split_arguments(words)?;
    let mut text = match file {
        None => Vec::new(),
        Some(b"-") => {
            let mut text = Vec::new();
            std::io::stdin()
                .read_to_end(&mut text)
                .map_err(|error| format!("evenkeel: cannot read the settings from standard input: {error}"))?;
            text
        }
        Some(path) => std::fs::read(OsStr::from_bytes(path)).map_err(|error| {
            format!("evenkeel: cannot read the configuration file '{}': {error}", path.escape_ascii())
        })?,
    };
    config::append_flags(&mut text, flags);
    let settings = config::read(&text).map_err(|error| error.to_string())?;
    let path = match file {
        None | Some(b"-") => String::new(),
        Some(path) => {
            let path = std::path::absolute(OsStr::from_bytes(path)).unwrap_or_default();
            path.to_string_lossy().into_owned()
        }
    };
    Ok((settings, path))
}

fn serve(settings: Settings, config_file: String) -> anyhow::Result<()> {
    start_log(&settings)?;
    let version = env!("CARGO_PKG_VERSION");
    let pid = std::process::id();
    let server = Server::bind(settings)?.with_config_file(config_file);
    // Whether anybody reads it is no matter.
    let _ = writeln!(std::io::stdout(), "evenkeel {version} is ready on {} (pid {pid})", server.addresses().join(", "));
    server.run()?;
    Ok(())
}

/// Sends the log to standard output or to its file, at the level of the settings.
fn start_log(settings: &Settings) -> anyhow::Result<()> {
    let level = match settings.loglevel {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Nothing => LevelFilter::OFF,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false);
    if settings.logfile.is_empty() {
        log.with_ansi(std::io::stdout().is_terminal()).init();
    } else {
        let path = &settings.logfile;
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot open the log file '{path}'"))?;
        log.with_ansi(false).with_writer(file).init();
    }
    Ok(())
}
