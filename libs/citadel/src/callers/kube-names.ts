/** RFC 1123 label: what Kubernetes allows as the name of a namespace. */
export function isNamespaceName(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);
}

/** RFC 1123 subdomain: what Kubernetes allows as the name of a service account. */
export function isServiceAccountName(text: string): boolean {
  return text.length <= 253 && text.split('.').every(isNamespaceName);
}
