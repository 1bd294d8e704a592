package network

// Check returns an error where the options are wrong as such, so that nothing needs to be tried.
func (o Options) Check() error {
	mode, _, err := parseNetworks(o.Network)
	if err != nil {
		return err
	}
	ports, err := parsePorts(o.Publish)
	if err != nil {
		return err
	}
	return checkPorts(mode, ports)
}
