package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	regconfig "github.com/regclient/regclient/config"
)

// maxCertificates bounds a file of certificates in bytes: all authorities of a system are a quarter of that.
const maxCertificates = 1 << 20

// certDirs returns the directories in which there may be one for each registry, the first that counts first
// (containers-certs.d(5), and docker's "Verify repository client with certificates").
func certDirs() []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if user, err := os.UserConfigDir(); err == nil {
		dirs = append([]string{filepath.Join(user, "containers/certs.d")}, dirs...)
	}
	return dirs
}

// readCertificates returns how TLS is spoken to the registry: with the certificates in dir, or else in the first
// directory that is named as the registry is in references of images, HOST or HOST:PORT. *.crt are authorities, which
// count beside the system's; *.cert are the client's certificates, with the *.key beside each.
func readCertificates(dir string, e endpoint) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: e.insecure} // the user asked for it, or it is loopback
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

// hostNames are the names that the directory of a registry may have: no path, whatever a configuration says. That of
// docker.io may be called as the host is that is asked, as docker has it.
func hostNames(host string) []string {
	if host == "" || host == "." || host == ".." || strings.ContainsAny(host, "/\x00") {
		return nil
	}
	if real := regconfig.HostNewName(host).Hostname; real != host {
		return []string{host, real}
	}
	return []string{host}
}

// certificateError is of a file in a directory that is there. It is none of those that say that there is no directory.
type certificateError struct {
	path string
	err  error
}

func (e *certificateError) Error() string {
	return fmt.Sprintf("read certificate %s: %v", e.path, e.err)
}

// addCertificates adds what is in a directory to the configuration.
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
	data, err := readSmall(path)
	if err != nil {
		return err
	}
	if config.RootCAs == nil {
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			return &certificateError{path, err}
		}
	}
	if !config.RootCAs.AppendCertsFromPEM(data) {
		return &certificateError{path, errors.New("no certificate in it (PEM)")}
	}
	return nil
}

func addPair(config *tls.Config, cert, key string) error {
	if err := requireFile(key, cert); err != nil {
		return err
	}
	certData, err := readSmall(cert)
	if err != nil {
		return err
	}
	keyData, err := readSmall(key)
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

// requireFile returns an error where the other half of a client's certificate is missing.
func requireFile(partner, path string) error {
	_, err := os.Stat(partner)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no %s beside it: a client's certificate is a .cert with a .key, an authority's a .crt", filepath.Base(partner))
	}
	if err != nil {
		return &certificateError{path, err}
	}
	return nil
}

// readSmall reads a file of certificates. A fifo would be waited for.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, &certificateError{path, err}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &certificateError{path, err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCertificates+1))
	if err == nil && len(data) > maxCertificates {
		err = fmt.Errorf("more than %d KiB", maxCertificates>>10)
	}
	if err != nil {
		return nil, &certificateError{path, err}
	}
	return data, nil
}
