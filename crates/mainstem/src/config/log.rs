//! How much is logged, and in which form.

use tracing::level_filters::LevelFilter;

use super::section::choice;

choice! {
    /// How much is logged. Names in any case; the reference's names are taken too.
    pub enum LogLevel {
        /// Nothing but what stops the server (`CRITICAL`): logged like [`LogLevel::Error`].
        Critical = "CRITICAL",
        /// Someone must act.
        Error = "ERROR",
        /// Something went wrong and was recovered from.
        Warning = "WARNING" | "WARN",
        /// What an operator must know.
        Info = "INFO",
        /// Every open, failure, failover and change of a connection.
        Debug = "DEBUG",
        /// Everything.
        Trace = "TRACE",
    }
}

choice! {
    /// The form of the log.
    pub enum LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Critical | LogLevel::Error => Self::ERROR,
            LogLevel::Warning => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
