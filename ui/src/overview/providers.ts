// A breaker is named after the provider that it guards: how people call that one, and the settings that are its key.
import { texts } from '../texts'

interface Provider {
  name: string
  settings: string[]
}

const PROVIDERS: Record<string, Provider> = {
  apns: { name: texts.providers.apns, settings: ['APNS_KEY', 'APNS_KEY_ID', 'APNS_TEAM_ID'] },
  cloudflare: { name: texts.providers.cloudflare, settings: ['CLOUDFLARE_ACCOUNT_ID', 'CLOUDFLARE_API_TOKEN'] },
  fcm: { name: texts.providers.fcm, settings: ['FCM_CREDENTIALS'] },
  idenfy: { name: texts.providers.idenfy, settings: ['IDENFY_API_KEY', 'IDENFY_API_SECRET'] },
  mailgun: { name: texts.providers.mailgun, settings: ['MAILGUN_API_KEY'] },
  onfido: { name: texts.providers.onfido, settings: ['ONFIDO_API_KEY'] },
  s3: { name: texts.providers.s3, settings: ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] },
  sendgrid: { name: texts.providers.sendgrid, settings: ['SENDGRID_API_KEY'] },
  smtp: { name: texts.providers.smtp, settings: ['SMTP_USERNAME', 'SMTP_PASSWORD'] },
  supabase: { name: texts.providers.supabase, settings: ['SUPABASE_SERVICE_KEY'] },
  twilio: { name: texts.providers.twilio, settings: ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN'] },
  webpush: { name: texts.providers.webpush, settings: ['VAPID_PRIVATE_KEY'] },
}

/** Null: a breaker that an application made. `supabase-storage` is a part of Supabase. */
export function providerOf(breaker: string): Provider | null {
  return PROVIDERS[breaker] ?? PROVIDERS[breaker.split('-')[0]!] ?? null
}

/** As people say it: Onfido for `onfido`; a breaker that an application made by its own name. */
export function called(breaker: string): string {
  return providerOf(breaker)?.name ?? breaker
}
