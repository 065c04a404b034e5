/** Providers as people call them. */
export const providers = {
  apns: 'APNs',
  cloudflare: 'Cloudflare',
  fcm: 'FCM',
  idenfy: 'iDenfy',
  mailgun: 'Mailgun',
  onfido: 'Onfido',
  s3: 'S3',
  sendgrid: 'SendGrid',
  smtp: 'The SMTP server',
  supabase: 'Supabase',
  twilio: 'Twilio',
  webpush: 'Web push',
}
