//! The settings, and all that is wrong with them at once.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use shared::config::{self, AuthConfig, BadConfig, Config, MigrateConfig, Secret, environment};

use super::env_file;
use super::report::Report;

/// What is checked further: the settings that have no fault.
pub(super) struct Settings {
    values: BTreeMap<String, String>,
    faulty: Vec<String>,
    /// With the faulty ones replaced.
    pub(super) config: Option<Config>,
}

impl Settings {
    /// Reads them from the environment and, where that lacks them, from a file; reports what is wrong.
    pub(super) fn read(file: Option<&Path>, report: &mut Report) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, value) in file.map(env_file::read).transpose()?.unwrap_or_default() {
            values.insert(name, value);
        }
        let in_file: Vec<String> = values.keys().cloned().collect();
        for name in config::settings().map(|setting| setting.name) {
            let Some(value) = environment(name) else { continue };
            if in_file.iter().any(|known| known == name) && values.get(name) != Some(&value) {
                let file = file.map(|file| file.display().to_string()).unwrap_or_default();
                report.doubtful(
                    format!("{name} is in the environment, too, with another value"),
                    format!("that one counts here; unset it to check the one of {file}"),
                );
            }
            values.insert(name.to_owned(), value);
        }
        let mut settings = Self { values, faulty: Vec::new(), config: None };
        match settings.config_without(&[]) {
            Ok(config) => {
                report.good("the settings are complete and well formed");
                settings.config = Some(config);
            }
            Err(BadConfig(faults)) => {
                for fault in &faults {
                    let name = fault.split([' ', ':']).next().unwrap_or_default().to_owned();
                    let meaning =
                        config::settings().find(|setting| setting.name == name).map(|setting| setting.meaning);
                    report.wrong(fault, meaning.unwrap_or("see the settings in the README"));
                    settings.faulty.push(name);
                }
                settings.config = settings.config_without(&settings.faulty).ok();
            }
        }
        Ok(settings)
    }

    /// The settings, with harmless ones in the place of these, so that the others can be checked all the same.
    fn config_without(&self, faulty: &[String]) -> Result<Config, BadConfig> {
        let is_faulty = |name: &str| faulty.iter().any(|it| it == name);
        Config::read(&|name| match name {
            // One of the two has to be there, and no more than one may.
            "DATABASE_SECRET_ARN" if is_faulty("DATABASE_URL") || is_faulty(name) => None,
            "DATABASE_URL" if is_faulty("DATABASE_SECRET_ARN") => Some("postgresql://database.invalid".to_owned()),
            _ if !is_faulty(name) => self.values.get(name).cloned(),
            "AUTH_URL" => Some("https://auth.invalid".to_owned()),
            "DATABASE_URL" => Some("postgresql://database.invalid".to_owned()),
            _ => None,
        })
    }

    /// A setting that isn't empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).filter(|value| !value.trim().is_empty()).cloned()
    }

    /// Where the owner's URL is, if that is set at all; reports what is wrong with it.
    pub(super) fn owner(&self, report: &mut Report) -> Option<Secret> {
        let set = ["MIGRATE_DATABASE_URL", "MIGRATE_DATABASE_SECRET_ARN"].iter().any(|name| self.get(name).is_some());
        if !set {
            return None;
        }
        // What it shares with the functions was judged there.
        let own = |name: &str| if name == "LOG_LEVEL" { None } else { self.values.get(name).cloned() };
        match MigrateConfig::read(&own) {
            Ok(config) => Some(config.owner_url),
            Err(BadConfig(faults)) => {
                for fault in faults {
                    report.wrong(fault, "see the settings of migrate in the README");
                }
                None
            }
        }
    }

    /// Whether none of these has a fault.
    pub(super) fn are_good(&self, names: &[&str]) -> bool {
        !self.faulty.iter().any(|faulty| names.contains(&faulty.as_str()))
    }

    /// Who signs tokens, where that can be told.
    pub(super) fn auth(&self) -> Option<&AuthConfig> {
        let good = self.are_good(&["AUTH_URL", "JWKS_URL"]);
        self.config.as_ref().filter(|_| good).map(|config| &config.auth)
    }
}
