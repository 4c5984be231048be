package profiles

// Names lists the profiles that may be asked for: the host's and those that
// come with the program, sorted.
func (s *Set) Names() []string { return s.names() }
