/** The queues that Corral comes with, which need no module named: as `_MODULES` of corral.queues has them. */
export const BUILT_IN: readonly string[] = ['kyc-verification', 'image-processing', 'analytics', 'email', 'notification', 'webhooks']
