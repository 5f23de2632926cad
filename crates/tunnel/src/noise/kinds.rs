// SPDX-License-Identifier: BSD-2-Clause
//! The kinds of noise there are, each with what it is known by.

/// A kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Noise {
    /// It came from the code of a browser extension, or says what only those say.
    BrowserExtension,
    /// A search engine or another robot runs the page.
    Crawler,
    /// The page is on the developer's own machine, or a file.
    Localhost,
    /// The browser keeps to itself what happened: code of another origin, loaded without CORS.
    ScriptError,
    /// A notice of browsers that goes by without a consequence.
    ResizeObserver,
    /// What translators, toolbars and apps that show pages have put into the page.
    Injected,
}

impl Noise {
    pub const ALL: [Noise; 6] = [
        Noise::BrowserExtension,
        Noise::Crawler,
        Noise::Localhost,
        Noise::ScriptError,
        Noise::ResizeObserver,
        Noise::Injected,
    ];

    /// The name in results and counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Noise::BrowserExtension => "browser_extension",
            Noise::Crawler => "crawler",
            Noise::Localhost => "localhost",
            Noise::ScriptError => "script_error",
            Noise::ResizeObserver => "resize_observer",
            Noise::Injected => "injected",
        }
    }
}

/// Files of extensions. Safari hides them behind a name of its own.
pub const EXTENSION_FILES: &str = "(?i)^(chrome|chrome-extension|moz-extension|safari-extension|safari-web-extension|ms-browser-extension|webkit-masked-url):|kaspersky-labs\\.com/";

/// What is said when an extension is updated under a page, or reaches for a page that is gone.
pub const EXTENSION_TEXTS: &str = "(?i)extension context invalidated|message port closed before a response was received|receiving end does not exist|webkit-masked-url:|chrome-extension:|moz-extension:|\
     can't access dead object|plugin\\.setSuspendState";

/// Names that robots go by; those that name themselves a bot, a spider or a crawler, and those that do not. Cubot makes telephones.
pub const CRAWLERS: &str = "(?i)(^|[^u]|[^c]u)bots?([^a-z]|$)|(spider|crawler|scraper)([^a-z]|$)|googlebot|mediapartners-google|feedfetcher|google-read-aloud|google-inspectiontool|bingpreview|slurp|sogou|yandex\\.com/bots|\
     facebookexternalhit|meta-externalagent|ia_archiver|pingdom|bytespider|headlesschrome|phantomjs|lighthouse|gtmetrix|prerender|uptime(robot|-kuma)|better uptime|whatsapp/|embedly";

/// What is injected, by names that it has in what it throws.
pub const INJECTED_TEXTS: &str = "gCrWeb|conduitPage|top\\.GLOBALS|originalCreateNotification|canvas\\.contentDocument|MyApp_RemoveAllHighlights|ZiteReader|jigsaw is not defined|ComboSearch|atomicFindClose|\
     fb_xd_fragment|bmi_SafeAddOnload|EBCallBackMessageReceived|instantSearchSDKJSBridgeClearHighlight|_AutofillCallbackHandler|_pcmBridgeCallbackHandler|vid_mate_check|ceCurrentVideo|zaloJSV2|\
     a\\[b\\]\\.target\\.className\\.indexOf|ucbrowser_script|window\\.webkit\\.messageHandlers|elt\\.parentNode|__firefox__|UCShellJava|WeixinJSBridge|MIBrowser|bdTransJSBridge";

/// Where it is loaded from.
pub const INJECTED_FILES: &str = "(?i)^https?://(translate\\.(google|googleapis)\\.com|[a-z0-9-]+\\.translate\\.goog|webappstoolbarba\\.texthelp\\.com|static\\.woopra\\.com|\
     loading\\.retry\\.widdit\\.com|tt\\.epicplay\\.com|metrics\\.itunes\\.apple\\.com)[:/]";
