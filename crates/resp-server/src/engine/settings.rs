//! Settings (a stand-in with the fields that the event loop needs).
#![allow(missing_docs)]

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
    Nothing,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub port: u16,
    pub bind: Vec<String>,
    pub unixsocket: String,
    pub unixsocketperm: u32,
    pub tcp_backlog: u32,
    pub tcp_keepalive: u32,
    pub timeout: u32,
    pub maxclients: u32,
    pub proto_max_bulk_len: u64,
    pub loglevel: LogLevel,
    pub logfile: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            port: 6379,
            bind: vec!["127.0.0.1".to_owned(), "-::1".to_owned()],
            unixsocket: String::new(),
            unixsocketperm: 0,
            tcp_backlog: 511,
            tcp_keepalive: 300,
            timeout: 0,
            maxclients: 10_000,
            proto_max_bulk_len: 512 << 20,
            loglevel: LogLevel::Notice,
            logfile: String::new(),
        }
    }
}

impl Settings {
    pub fn apply_line(&mut self, line: &[u8]) -> Result<(), String> {
        let words = crate::text::split::split(line).map_err(|_| "unbalanced quotes".to_owned())?;
        let words: Vec<String> = words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect();
        let [name, values @ ..] = &words[..] else { return Ok(()) };
        if name.starts_with('#') {
            return Ok(());
        }
        let number = || values[0].parse::<u32>().map_err(|_| "argument couldn't be parsed into an integer".to_owned());
        match name.as_str() {
            "port" => self.port = number()? as u16,
            "bind" => self.bind = values.to_vec(),
            "unixsocket" => self.unixsocket = values[0].clone(),
            "unixsocketperm" => self.unixsocketperm = u32::from_str_radix(&values[0], 8).map_err(|e| e.to_string())?,
            "tcp-backlog" => self.tcp_backlog = number()?,
            "tcp-keepalive" => self.tcp_keepalive = number()?,
            "timeout" => self.timeout = number()?,
            "maxclients" => self.maxclients = number()?,
            "logfile" => self.logfile = values[0].clone(),
            _ => return Err("Bad directive or wrong number of arguments".to_owned()),
        }
        Ok(())
    }
}
