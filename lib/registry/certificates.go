package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	regconfig "github.com/regclient/regclient/config"

	"github.com/weikeit/mydocker/lib/linux"
)

// maxCertificates limits the size of a certificate file in bytes. The CA bundle of a distribution is a quarter of that.
const maxCertificates = 1 << 20

// certDirs returns the parents of the registries' certificate directories, in order of precedence
// (containers-certs.d(5), and docker's "Verify repository client with certificates").
func certDirs() []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if user, err := os.UserConfigDir(); err == nil {
		dirs = append([]string{filepath.Join(user, "containers/certs.d")}, dirs...)
	}
	return dirs
}

// readCertificates returns the TLS configuration for a registry, with the certificates in dir or, by default, in the
// first existing directory with the name of the registry, HOST or HOST:PORT. A *.crt file is a certificate authority, in
// addition to those of the system. A *.cert file is a client certificate and needs a *.key file.
func readCertificates(dir string, e endpoint) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: e.insecure} // only for --insecure and loopback addresses
	if dir != "" {
		return config, addCertificates(config, dir)
	}
	for _, parent := range certDirs() {
		for _, name := range hostNames(e.host) {
			err := addCertificates(config, filepath.Join(parent, name))
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				continue
			}
			return config, err
		}
	}
	return config, nil
}

// hostNames returns the possible directory names of a registry. It refuses names that would be paths, since they may
// come from a configuration file. The directory of docker.io may also have the name of its API host, as in docker.
func hostNames(host string) []string {
	if host == "" || host == "." || host == ".." || strings.ContainsAny(host, "/\x00") {
		return nil
	}
	if real := regconfig.HostNewName(host).Hostname; real != host {
		return []string{host, real}
	}
	return []string{host}
}

// certificateError is an error about a certificate file. It does not unwrap, so that fs.ErrNotExist always means that
// the directory is missing.
type certificateError struct {
	path string
	err  error
}

func (e *certificateError) Error() string {
	return fmt.Sprintf("read certificate %s: %v", e.path, e.err)
}

// addCertificates adds the certificates in a directory to the configuration.
func addCertificates(config *tls.Config, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(path); ext {
		case ".crt":
			err = addAuthority(config, path)
		case ".cert":
			err = addPair(config, path, strings.TrimSuffix(path, ext)+".key")
		case ".key":
			err = requireFile(strings.TrimSuffix(path, ext)+".cert", path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func addAuthority(config *tls.Config, path string) (err error) {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	if config.RootCAs == nil {
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			return &certificateError{path, err}
		}
	}
	if !config.RootCAs.AppendCertsFromPEM(data) {
		return &certificateError{path, errors.New("no PEM certificate found")}
	}
	return nil
}

func addPair(config *tls.Config, cert, key string) error {
	if err := requireFile(key, cert); err != nil {
		return err
	}
	certData, err := readFile(cert)
	if err != nil {
		return err
	}
	keyData, err := readFile(key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certData, keyData)
	if err != nil {
		return &certificateError{cert, fmt.Errorf("with %s: %w", filepath.Base(key), err)}
	}
	config.Certificates = append(config.Certificates, pair)
	return nil
}

// requireFile returns an error if the certificate or key that belongs to path is missing.
func requireFile(partner, path string) error {
	_, err := os.Stat(partner)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("missing %s: a client certificate is a .cert file with a .key file, an authority is a .crt file", filepath.Base(partner))
	}
	if err != nil {
		return &certificateError{path, err}
	}
	return nil
}

// readFile reads a certificate file of limited size. It refuses special files, since opening a FIFO would block.
func readFile(path string) ([]byte, error) {
	data, err := linux.ReadInput(path, maxCertificates)
	if err != nil {
		return nil, &certificateError{path, err}
	}
	return data, nil
}
