//! The settings of the function `migrate`.

use std::fmt;

use super::{BadConfig, Reader, Secret, environment};

/// What the function `migrate` needs, and no other may read.
#[derive(Clone)]
pub struct MigrateConfig {
    /// The connection string of the database's owner.
    pub owner_url: Secret,
    /// The password that `colloquy_app` gets; of a secret, the password in it.
    pub app_password: Option<Secret>,
    /// How much is logged.
    pub log_level: tracing::Level,
}

impl fmt::Debug for MigrateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrateConfig").finish_non_exhaustive()
    }
}

impl MigrateConfig {
    /// The settings of this process.
    pub fn from_env() -> Result<Self, BadConfig> {
        Self::read(&environment)
    }

    /// Settings from anywhere.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let mut reader = Reader { lookup, faults: Vec::new() };
        let config = Self {
            owner_url: reader.required_secret("MIGRATE_DATABASE_URL", "MIGRATE_DATABASE_SECRET_ARN"),
            app_password: reader.secret("APP_DATABASE_PASSWORD", "APP_DATABASE_SECRET_ARN"),
            log_level: reader.log_level(),
        };
        reader.or_faults(config)
    }
}
