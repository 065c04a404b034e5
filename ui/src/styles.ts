// Every style and font; nothing comes from another host.
import '@fontsource-variable/inter/wght.css'
import '@fontsource/jetbrains-mono/latin-400.css'
import '@fontsource/jetbrains-mono/latin-500.css'
import './tokens.css'
import './components.css'
import './alerts/alerts.css'
import './dead/dead.css'
import './overview/overview.css'
