// A breaker is named after the provider that it guards: how people call that one, and the settings that are its key.

interface Provider {
  name: string
  settings: string[]
}

const PROVIDERS: Record<string, Provider> = {
  apns: { name: 'APNs', settings: ['APNS_KEY', 'APNS_KEY_ID', 'APNS_TEAM_ID'] },
  cloudflare: { name: 'Cloudflare', settings: ['CLOUDFLARE_ACCOUNT_ID', 'CLOUDFLARE_API_TOKEN'] },
  fcm: { name: 'FCM', settings: ['FCM_CREDENTIALS'] },
  idenfy: { name: 'iDenfy', settings: ['IDENFY_API_KEY', 'IDENFY_API_SECRET'] },
  mailgun: { name: 'Mailgun', settings: ['MAILGUN_API_KEY'] },
  onfido: { name: 'Onfido', settings: ['ONFIDO_API_KEY'] },
  s3: { name: 'S3', settings: ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] },
  sendgrid: { name: 'SendGrid', settings: ['SENDGRID_API_KEY'] },
  smtp: { name: 'The SMTP server', settings: ['SMTP_USERNAME', 'SMTP_PASSWORD'] },
  supabase: { name: 'Supabase', settings: ['SUPABASE_SERVICE_KEY'] },
  twilio: { name: 'Twilio', settings: ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN'] },
  webpush: { name: 'Web push', settings: ['VAPID_PRIVATE_KEY'] },
}

/** Null: a breaker that an application made. `supabase-storage` is a part of Supabase. */
export function providerOf(breaker: string): Provider | null {
  return PROVIDERS[breaker] ?? PROVIDERS[breaker.split('-')[0]!] ?? null
}

/** As people say it: Onfido for `onfido`; a breaker that an application made by its own name. */
export function called(breaker: string): string {
  return providerOf(breaker)?.name ?? breaker
}
