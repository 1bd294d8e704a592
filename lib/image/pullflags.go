package image

// PullFlags are the options of md-pull and `mydocker pull`.
type PullFlags struct {
	Quiet    bool   `short:"q" help:"Only print the digest"`
	Platform string `help:"Pull the image for this platform, OS/ARCH[/VARIANT], instead of the host's"`
	Insecure bool   `help:"Allow plain http, and https with a certificate that cannot be verified"`
	CertDir  string `name:"cert-dir" placeholder:"DIR" help:"Directory of the registry's certificates (*.crt, *.cert with *.key), instead of certs.d"`
}
